"""Whoever copies from the memory of batches by itself is told of it, and told when it goes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.loading import crew
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.loader import Loader
from gpunn.errors import UsageError
from tests.data.loading.datasets import SAME_SIZE, Files

Memory: TypeAlias = npt.NDArray[np.uint8]

KINDS = pytest.mark.parametrize("kind", ["threads", "processes"])


class Pins:
    """Notes what it is told; `others` tell what else there is at that time."""

    def __init__(self, others: Callable[[], Any] = lambda: None) -> None:
        self.pinned: list[Memory] = []
        self.unpinned: list[tuple[int, Any]] = []
        self._others = others

    def __call__(self, memory: Memory) -> Callable[[], None]:
        number = len(self.pinned)
        self.pinned.append(memory)
        return lambda: self.unpinned.append((number, self._others()))

    def holds(self, number: int, batch: Batch) -> bool:
        arrays = (batch.images, batch.labels, batch.placement, batch.indices, *batch.targets.values())
        return all(_lies_in(self.pinned[number], array) for array in arrays)


def _lies_in(memory: Memory, array: Any) -> bool:
    assert array.flags.c_contiguous
    start, first = memory.ctypes.data, array.ctypes.data
    return bool(start <= first and first + array.nbytes <= start + memory.nbytes)


def loader(folder: Path, kind: Any, pin: Pins) -> Loader:
    return Loader(Files(30, folder), SAME_SIZE, batch_size=4, seed=1, workers=2, worker_kind=kind, pin=pin)


@KINDS
def test_all_batches_lie_in_memory_that_was_pinned_once(tmp_path: Path, kind: str, started: list[Any]) -> None:
    pins = Pins()
    source = loader(tmp_path, kind, pins)
    assert pins.pinned == []
    for epoch in range(3):
        assert all(pins.holds(0, batch) for batch in source.batches(epoch))
    assert len(pins.pinned) == 1
    assert pins.pinned[0].flags.c_contiguous
    assert pins.unpinned == []
    source.close()
    source.close()
    assert pins.unpinned == [(0, None)]


def test_memory_that_is_made_anew_is_pinned_anew(tmp_path: Path) -> None:
    pins = Pins()
    source = loader(tmp_path, "threads", pins)
    for one, other in zip(source.batches(0), source.batches(1), strict=True):
        assert pins.holds(0, one)
        assert pins.holds(1, other)
    # One crew that does nothing is kept.
    assert [number for number, _ in pins.unpinned] == [1]
    source.close()
    assert [number for number, _ in pins.unpinned] == [1, 0]
    assert pins.holds(2, next(source.batches(0)))
    del source
    gc.collect()
    assert [number for number, _ in pins.unpinned] == [1, 0, 2]


@KINDS
def test_it_stays_pinned_until_workers_have_ended_and_nobody_holds_a_batch(
    tmp_path: Path, kind: str, started: list[Any], threads: Callable[[], list[Any]]
) -> None:
    held: list[Batch] = []
    pins = Pins(lambda: (len(held), len(threads()), [process.returncode for process in started]))
    source = loader(tmp_path, kind, pins)
    for batch in source.batches(0):
        held.append(batch)
        batch.hold(partial(held.remove, batch))
    assert held
    source.close()
    assert pins.unpinned == [(0, (0, 0, [0, 0] if kind == "processes" else []))]


def test_who_holds_a_batch_again_is_waited_for_once() -> None:
    """A batch of one's own that a network learns a thousand times is released by nobody."""
    images, numbers = np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32)
    batch = Batch(images, numbers, np.zeros((1, 3), np.int32), numbers.astype(np.int64))
    gpu = Gpu()
    for released in (1, 2):
        for _ in range(3):
            batch.hold(gpu.wait)
            batch.part(0, 1).hold(gpu.wait)
        batch.release()
        assert gpu.waits == released


class Gpu:
    waits = 0

    def wait(self) -> None:
        self.waits += 1


def test_nothing_stays_pinned_where_processes_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(crew, "ProcessWorkers", refuse)
    pins = Pins()
    source = loader(tmp_path, "processes", pins)
    with pytest.raises(UsageError, match="no more processes"):
        next(source.batches(0))
    assert len(pins.pinned) == len(pins.unpinned)
