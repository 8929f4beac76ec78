"""Workers live as long as their loader, and nothing is left of them after it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
import pytest

from gpunn.data.loading.batch import Batch
from gpunn.data.loading.board import Board
from gpunn.data.loading.loader import Loader
from gpunn.errors import UsageError
from tests.data.loading.datasets import SAME_SIZE, Files, assert_equal, copied

Threads: TypeAlias = Callable[[], list[threading.Thread]]

KINDS = pytest.mark.parametrize("kind", ["threads", "processes"])


def loader(folder: Path, kind: str, **options: Any) -> Loader:
    settings = {"batch_size": 4, "seed": 1, "shuffle": True, "workers": 1, "worker_kind": kind}
    return Loader(Files(30, folder), SAME_SIZE, **{**settings, **options})


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@KINDS
def test_workers_begin_with_the_first_batch_and_stay_until_the_loader_is_closed(
    tmp_path: Path, kind: str, started: list[subprocess.Popen[bytes]], threads: Threads
) -> None:
    gc.collect()
    open_before = descriptors()
    source = loader(tmp_path, kind, workers=2)
    batches = source.batches(0)
    assert len(threads()) + len(started) == 0
    next(batches)
    assert len(threads()) + len(started) == 2
    # An epoch that is left early does not end them either.
    batches.close()
    for epoch in range(3):
        assert len(copied(source.batches(epoch))) == 8
    assert len(threads()) + len(started) == 2
    source.close()
    assert not threads()
    assert all(process.returncode == 0 for process in started)
    source.close()
    del source, batches
    gc.collect()
    assert descriptors() == open_before


@KINDS
def test_a_loader_that_is_dropped_ends_its_workers(
    tmp_path: Path, kind: str, started: list[subprocess.Popen[bytes]], threads: Threads
) -> None:
    batches = loader(tmp_path, kind).batches(0)
    next(batches)
    assert len(threads()) + len(started) == 1
    del batches
    gc.collect()
    assert not threads()
    assert all(process.returncode == 0 for process in started)


@KINDS
def test_a_closed_loader_can_be_used_again_but_not_the_epoch_that_was_under_way(
    tmp_path: Path, kind: str, started: list[Any]
) -> None:
    source = loader(tmp_path, kind)
    expected = copied(source.batches(0))
    for start in (0, 6):
        batches = source.batches(0, start)
        kept = next(batches)
        source.close()
        with pytest.raises(UsageError, match="the loader was closed while"):
            next(batches)
        assert_equal(copied([kept]), expected[start : start + 1])
    assert_equal(copied(source.batches(0)), expected)
    source.close()


@KINDS
def test_epochs_side_by_side_have_workers_and_memory_of_their_own(
    tmp_path: Path, kind: str, started: list[subprocess.Popen[bytes]], threads: Threads
) -> None:
    source = loader(tmp_path, kind)
    expected = [copied(source.batches(epoch)) for epoch in (0, 1)]
    for step, pair in enumerate(zip(source.batches(0), source.batches(1), strict=True)):
        assert_equal(copied(pair), [batches[step] for batches in expected])
    assert len(threads()) + sum(process.returncode is None for process in started) == 1
    source.close()


@KINDS
def test_a_batch_is_valid_until_the_next_but_one_across_epochs(tmp_path: Path, kind: str, started: list[Any]) -> None:
    source = loader(tmp_path, kind)
    expected = [batch for epoch in (0, 1, 2) for batch in copied(source.batches(epoch))]
    current = None
    for number, batch in enumerate(batch for epoch in (0, 1, 2) for batch in source.batches(epoch)):
        before, current = current, batch
        if before is not None:
            assert_equal(copied([before, current]), expected[number - 1 : number + 1])
    source.close()


@KINDS
def test_an_epoch_that_is_left_takes_no_batch_away_from_its_caller(
    tmp_path: Path, kind: str, started: list[Any]
) -> None:
    source = loader(tmp_path, kind)
    expected = copied(source.batches(0))
    for number in range(4):
        batches = source.batches(0, number)
        last = next(batches)
        batches.close()
        following = source.batches(0)
        # It is valid until the next but one is asked for.
        assert_equal(copied([next(following), last]), [expected[0], expected[number]])
        following.close()
    source.close()


@KINDS
def test_what_nobody_wants_any_more_is_not_read(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the rest of the job that a worker is at, nor the jobs after it."""
    data = Files(60, tmp_path, {5: "hang"})
    drop = Board.drop

    def drop_and_let_go(board: Board, before: int) -> None:
        drop(board, before)
        while not data.let_go():
            time.sleep(0.01)
        monkeypatch.undo()

    source = Loader(data, SAME_SIZE, batch_size=4, seed=1, workers=1, worker_kind=kind)
    batches = source.batches(0)
    next(batches)
    while 5 not in data.readers():
        time.sleep(0.01)
    monkeypatch.setattr(Board, "drop", drop_and_let_go)
    batches.close()
    assert max(data.readers()) == 5
    assert next(source.batches(0, 3)).indices.tolist() == [12, 13, 14, 15]
    source.close()


@KINDS
@pytest.mark.parametrize("batch_size", [4, 15, 30])
def test_batches_that_are_held_are_waited_for(tmp_path: Path, kind: str, batch_size: int, started: list[Any]) -> None:
    source = loader(tmp_path, kind, batch_size=batch_size)
    batches: list[Batch] = []
    expected: list[dict[str, npt.NDArray[Any]]] = []
    released: list[int] = []

    def until(number: int) -> None:
        assert_equal(copied([batches[number]]), [expected[number]])
        released.append(number)

    for epoch in range(3):
        for batch in source.batches(epoch):
            number = len(batches)
            batches.append(batch)
            expected.extend(copied([batch]))
            batch.hold(partial(until, number))
            assert all(earlier <= number - 2 for earlier in released)
    source.close()
    assert sorted(released) == list(range(len(batches)))


@KINDS
def test_a_program_that_ends_without_closing_leaves_quietly(tmp_path: Path, kind: str) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.data.loading.datasets import Files, SAME_SIZE; "
        "from gpunn.data.loading.loader import Loader; "
        "data = Files(30, Path(sys.argv[1])); "
        f"source = Loader(data, SAME_SIZE, batch_size=4, seed=1, workers=1, worker_kind='{kind}'); "
        "batches = source.batches(0); print(len(next(batches)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-X", "dev", "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")
