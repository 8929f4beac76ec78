"""A recorded step does what the step did, as long as all that changes lies in the device's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gpunn.backend import cuda
from gpunn.backend.attributes import RELU
from gpunn.backend.contract import Array, Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.backend.emulator.opening import open_with
from gpunn.errors import DeviceError
from tests.backend.arrays import upload
from tests.backend.cuda.fake_cupy import CUDARuntimeError, Machine


@pytest.fixture(params=["emulator", "emulator:check", "cuda"])
def device(request: pytest.FixtureRequest) -> Iterator[CudaDevice]:
    if request.param == "cuda":
        yield request.getfixturevalue("fake_device")
        return
    opened = open_with(EmulatorSettings(check=request.param.endswith("check")))
    yield opened
    opened.close()


class Counted:
    """y = max(0, x), and how often the host was asked."""

    def __init__(self, device: CudaDevice) -> None:
        self.device = device
        self.x = upload(device, np.zeros((2, 8), np.float32))
        self.y = upload(device, np.zeros((2, 8), np.float32))
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        cuda.activation_forward(self.device, self.y, self.x, RELU)

    def result_of(self, run: Callable[[], None], value: float) -> float:
        self.device.upload(self.x, np.full((2, 8), value, np.float32))
        run()
        return float(self.device.download(self.y)[1, 3])


def test_the_third_call_is_written_down_and_repeated(device: CudaDevice) -> None:
    step = Counted(device)
    run = device.record(step)
    found = [step.result_of(run, value) for value in (1.0, -2.0, 3.0, 4.0, -5.0, 6.0)]
    assert found == [1.0, 0.0, 3.0, 4.0, 0.0, 6.0]
    assert step.calls == 3


def test_writing_down_changes_nothing(device: CudaDevice) -> None:
    step = Counted(device)
    device.upload(step.x, np.ones((2, 8), np.float32))
    replay = device.recorder.record(step)
    assert not device.download(step.y).any()
    assert not device.recorder.is_recording
    replay()
    assert device.download(step.y).all()


def test_copies_within_the_device_are_repeated(device: CudaDevice) -> None:
    x, y = (upload(device, np.zeros((2, 8), np.float32)) for _ in range(2))
    run = device.record(lambda: device.memory.copy(y, x))
    for value in range(5):
        device.upload(x, np.full((2, 8), value, np.float32))
        run()
        assert device.download(y)[0, 0] == value


def test_arguments_are_frozen(device: CudaDevice) -> None:
    """What the host knows at the third call stays so: a rate in a Python variable would never change again."""
    numbers = iter(range(10))
    x, y = (upload(device, np.zeros((4, 8), np.float32)) for _ in range(2))
    run = device.record(lambda: cuda.activation_forward(device, y[next(numbers)][np.newaxis], x[:1], RELU))
    device.upload(x, np.ones((4, 8), np.float32))
    for _ in range(8):
        run()
    assert next(numbers) == 3
    assert device.download(y).any(axis=1).tolist() == [True, True, True, False]


FORBIDDEN: dict[str, tuple[Callable[[CudaDevice, Array], object], str]] = {
    "upload": (lambda device, x: device.upload(x, np.ones((2, 8), np.float32)), "copies from the host"),
    "download": (lambda device, x: device.download(x), "copies to the host"),
    "allocate": (lambda device, x: device.allocate(64), "allocates 64 bytes"),
    "synchronize": (lambda device, x: device.synchronize(), "waits for the device"),
}


@pytest.mark.parametrize(("act", "words"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_would_not_be_repeated_is_refused(
    device: CudaDevice, act: Callable[[CudaDevice, Array], object], words: str
) -> None:
    step = Counted(device)

    def both() -> None:
        step()
        act(device, step.x)

    run = device.record(both)
    for _ in range(2):
        run()
    with pytest.raises(DeviceError, match=f"being recorded {words}"):
        run()
    assert step.result_of(step, 7.0) == 7.0
    assert step.result_of(device.record(step), 8.0) == 8.0


def test_a_recorded_step_within_another_becomes_part_of_it(device: CudaDevice) -> None:
    step = Counted(device)
    inner = device.record(step)
    outer = device.record(inner)
    assert [step.result_of(outer, value) for value in (1.0, 2.0, 3.0, 4.0, 5.0)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert step.calls == 3


def test_the_cpu_writes_nothing_down_and_runs_the_step_itself(cpu: Device) -> None:
    calls: list[None] = []
    run = cpu.record(lambda: calls.append(None))
    assert not calls
    for count in (1, 2, 3):
        run()
        assert len(calls) == count


def test_a_graph_keeps_the_gpu_busy_without_the_host(fake_device: CudaDevice, machine: Machine) -> None:
    step = Counted(fake_device)
    run = fake_device.record(step)
    for _ in range(10):
        run()
    assert machine.launched == []
    fake_device.synchronize()
    assert len(machine.launched) == 10


def test_a_capture_that_cuda_refuses(fake_device: CudaDevice, machine: Machine) -> None:
    step = Counted(fake_device)
    run = fake_device.record(step)
    run()
    run()
    machine.failing["end_capture"] = CUDARuntimeError(901, "cudaErrorStreamCaptureInvalidated: x")
    with pytest.raises(DeviceError, match=r"CUDA refuses capturing a step as a CUDA graph .*CaptureInvalidated"):
        run()
    machine.failing["launchKernel"] = CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: x")
    with pytest.raises(DeviceError, match="CaptureUnsupported"):
        run()
    machine.failing.clear()
    assert step.result_of(run, 4.0) == 4.0
