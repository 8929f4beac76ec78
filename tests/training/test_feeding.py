"""Batches go to the device from memory that it knows, and stay as they are until it has read them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cpu.device import CpuDevice
from gpunn.training import new_run, with_recipe
from gpunn.training.evaluation import evaluate_run
from gpunn.training.observer import Silence
from tests.training.runs import SIZE, Setting, trainer_of, write_stripes

pytestmark = pytest.mark.usefixtures("no_curves")

Host = np.ndarray[Any, Any]


class Reader:
    """A device that reads images where they are pinned, and looks at them again when it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pinned: list[Host] = []
        self.unpinned = 0
        self.uploads = 0
        self.waits = 0
        self._reading: list[tuple[Host, bytes]] = []
        self._upload = CpuDevice.upload
        monkeypatch.setattr(CpuDevice, "upload", lambda device, array, host: self.upload(device, array, host))
        monkeypatch.setattr(CpuDevice, "pin", lambda device, host: self.pin(host))
        monkeypatch.setattr(CpuDevice, "copied", lambda device: self.copied())

    def pin(self, host: Host) -> Callable[[], None]:
        self.pinned.append(host)
        return self.unpin

    def unpin(self) -> None:
        self.unpinned += 1

    def upload(self, device: CpuDevice, array: Host, host: Host) -> None:
        self._upload(device, array, host)
        if host.ndim == 4 and host.dtype == np.uint8:
            self.uploads += 1
            assert any(np.may_share_memory(host, memory) for memory in self.pinned)
            self._reading.append((host, host.tobytes()))

    def copied(self) -> Callable[[], None]:
        reading, self._reading = self._reading, []
        return partial(self.wait, reading)

    def wait(self, reading: list[tuple[Host, bytes]]) -> None:
        for host, values in reading:
            self.waits += 1
            assert host.tobytes() == values


def test_a_run_leaves_batches_alone_until_they_have_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(monkeypatch)
    with trainer_of(Setting()) as trainer:
        list(trainer.fit())
    # Three epochs of 50 and 21 pictures, 8 a batch.
    assert reader.uploads == reader.waits == 3 * (7 + 3)
    assert (len(reader.pinned), reader.unpinned) == (2, 2)


def test_an_evaluation_does_so_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = write_stripes(tmp_path / "stripes.npz", validation=21)
    given = {"data": str(data), "model": "mlp", "epochs": 1, "batch_size": 8, "threads": 1}
    list(new_run(with_recipe(given), tmp_path / "run", Silence()).fit())
    reader = Reader(monkeypatch)
    assert evaluate_run(tmp_path / "run", None, "cpu").totals.images == 21
    assert reader.uploads == reader.waits == 3
    assert (len(reader.pinned), reader.unpinned) == (1, 1)
    assert all(memory.nbytes >= 8 * SIZE * SIZE for memory in reader.pinned)
