"""Who takes part, and that everybody is sent home."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

import pytest

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import CpuDevice
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.models import model
from gpunn.timing.contestant import Task
from gpunn.timing.opening import devices_there, open_sides
from tests.timing.fakes import Clock, FakeContestant

MLP = model("mlp")
TASK = Task(MLP, 2, "float32", MLP.image, MLP.classes)


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    real = backend.open

    def opened(name: str, threads: int | None = None, algorithm: ConvolutionAlgorithm = "auto") -> Device:
        if name == "cuda":
            raise DeviceError("device 'cuda': no NVIDIA driver is installed; install it")
        return real(name, threads, algorithm)

    monkeypatch.setattr("gpunn.backend.open", opened)


def test_sides_in_their_order() -> None:
    with open_sides(TASK, ("emulator", "cpu"), 1, with_pytorch=False) as sides:
        assert [side.device for side in sides.contestants] == ["emulator", "cpu"]
        assert [side.threads for side in sides.contestants] == [None, 1]
        assert len(sides.cores) == 1
        if hasattr(os, "sched_getaffinity"):
            assert os.sched_getaffinity(0) == set(sides.cores)


def test_without_a_cpu_nothing_is_pinned() -> None:
    with open_sides(TASK, ("emulator",), None, with_pytorch=False) as sides:
        assert sides.cores == ()


def test_pytorch_stands_behind_the_devices_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeContestant] = []

    def pytorch_contestant(task: Task, device: str, threads: int | None) -> FakeContestant:
        assert (task, threads) == (TASK, 1)
        made.append(FakeContestant(Clock(), f"pytorch:{device}", [1.0], [1.0]))
        return made[-1]

    module: Any = ModuleType("gpunn.timing.pytorch")
    module.pytorch_contestant = pytorch_contestant
    monkeypatch.setitem(sys.modules, "gpunn.timing.pytorch", module)
    with open_sides(TASK, ("cpu", "emulator"), 1, with_pytorch=True) as sides:
        assert [side.device for side in sides.contestants] == ["cpu", "pytorch:cpu", "emulator"]
        assert made[0].events == []
    assert made[0].events == ["closed"]


def test_pytorch_without_any_device_of_its_own() -> None:
    with (
        pytest.raises(UsageError, match="PyTorch has none of --devices emulator; add cpu or cuda, or leave out --comp"),
        open_sides(TASK, ("emulator",), None, with_pytorch=True),
    ):
        pass


def test_a_missing_device_names_the_others(no_cuda: None) -> None:
    with (
        pytest.raises(DeviceError, match=r"no NVIDIA driver is installed.*the others go without it: --devices cpu$"),
        open_sides(TASK, ("cpu", "cuda"), 1, with_pytorch=False),
    ):
        pass


def test_what_was_opened_is_closed_when_another_device_is_missing(
    no_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    real = CpuDevice.close

    def close(device: CpuDevice) -> None:
        closed.append(device.name)
        real(device)

    monkeypatch.setattr(CpuDevice, "close", close)
    with pytest.raises(DeviceError, match="no NVIDIA driver"), open_sides(TASK, ("cpu", "cuda"), 1, with_pytorch=False):
        pass
    assert closed == ["cpu"]


def test_a_side_that_is_ready_is_closed_when_the_next_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def contestant(task: Task, device: Device) -> FakeContestant:
        if device.name == "emulator":
            raise MemoryExhaustedError("no memory")
        side = FakeContestant(Clock(), device.name, [1.0], [1.0])
        monkeypatch.setattr(side, "close", lambda: closed.append(side.device))
        return side

    monkeypatch.setattr("gpunn.timing.opening.GpunnContestant", contestant)
    with (
        pytest.raises(MemoryExhaustedError, match="no memory"),
        open_sides(TASK, ("cpu", "emulator"), 1, with_pytorch=False),
    ):
        pass
    assert closed == ["cpu"]


def test_a_device_alone_has_its_own_remedy(no_cuda: None) -> None:
    with pytest.raises(DeviceError, match=r"install it$"), open_sides(TASK, ("cuda",), None, with_pytorch=False):
        pass


def test_a_precision_that_a_device_lacks() -> None:
    task = Task(MLP, 2, "bfloat16", MLP.image, MLP.classes)
    with (
        pytest.raises(DeviceError, match="bfloat16 is not computed on cpu; use --precision float32 or float64, or lea"),
        open_sides(task, ("emulator", "cpu"), 1, with_pytorch=False),
    ):
        pass


def test_a_precision_that_the_only_device_lacks() -> None:
    task = Task(MLP, 2, "bfloat16", MLP.image, MLP.classes)
    with (
        pytest.raises(DeviceError, match=r"bfloat16 is not computed on cpu; use --precision float32 or float64$"),
        open_sides(task, ("cpu",), 1, with_pytorch=False),
    ):
        pass


def test_one_device_by_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = backend.open
    monkeypatch.setattr("gpunn.backend.open", lambda name, threads, algorithm: real("cpu", threads))
    with (
        pytest.raises(UsageError, match="cpu is named twice in --devices cuda,cuda:0; name it once"),
        open_sides(TASK, ("cuda", "cuda:0"), 1, with_pytorch=False),
    ):
        pass


def test_what_is_there(no_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"cuda": "device 'cuda': no NVIDIA driver is installed"}
    assert devices_there("float32") == (("cpu",), missing)
    # Whoever opens it then says which precisions there are.
    assert devices_there("bfloat16") == (("cpu",), {"cpu": "it does not compute bfloat16", **missing})
    real = backend.open
    monkeypatch.setattr("gpunn.backend.open", lambda name: real("cpu" if name == "cpu" else "emulator"))
    assert devices_there("float32") == (("cpu", "cuda"), {})
    assert devices_there("bfloat16") == (("cuda",), {"cpu": "it does not compute bfloat16"})
    assert devices_there("float64") == (("cpu",), {"cuda": "it does not compute float64"})
