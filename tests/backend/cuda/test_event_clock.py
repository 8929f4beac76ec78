"""Times of steps on a GPU's stream, on a fake CuPy whose kernels take as long as a test says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from gpunn.backend.cuda import event_clock
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.event_clock import EventClock
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.errors import DeviceError
from tests.backend.cuda.fake_cupy import CUDARuntimeError, Launched, Machine


def scaling(device: CudaDevice, factor: float) -> Callable[[], None]:
    y = device.view(device.allocate(64), 0, (16,), np.dtype(np.float32), "plain")
    return partial(device.primitives.scale, device, y, y, factor, False)


def milliseconds(launched: Launched) -> float:
    """A scaling takes as long as its factor says; whatever holds the GPU takes long."""
    return 1000.0 if launched.kernel == "hold" else float(launched.arguments[4])


def test_each_step_is_timed_by_itself(fake_device: CudaDevice, machine: Machine) -> None:
    machine.milliseconds = milliseconds
    steps = [scaling(fake_device, factor) for factor in (2.0, 0.5, 8.0)]
    assert fake_device.timed(steps) == [0.002, 0.0005, 0.008]
    assert [launched.kernel for launched in machine.launched] == ["hold", "scale", "scale", "scale"]


def test_what_a_step_launches_counts_together(fake_device: CudaDevice, machine: Machine) -> None:
    machine.milliseconds = milliseconds
    first, second = scaling(fake_device, 1.0), scaling(fake_device, 2.0)

    def both() -> None:
        first()
        second()

    assert fake_device.timed([both, lambda: None]) == [0.003, 0.0]


def test_the_queue_is_never_full(fake_device: CudaDevice, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_clock, "MOST_QUEUED", 2)
    machine.milliseconds = milliseconds
    steps = [scaling(fake_device, factor) for factor in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert fake_device.timed(steps) == [0.001, 0.002, 0.003, 0.004, 0.005]
    kernels = [launched.kernel for launched in machine.launched]
    assert kernels == ["hold", "scale", "scale", "hold", "scale", "scale", "hold", "scale"]


def test_the_gpu_is_held_as_long_as_queueing_took(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    held: list[float] = []

    def queue(seconds: float) -> None:
        now[0] += seconds

    clock = EventClock(gpu)
    for seconds in (30.0, 0.0002, 0.0001):
        clock([partial(queue, seconds)] * 4, held.append)
    # The first time nothing is known, and the second one would wait for a minute if there were no limit.
    assert held == pytest.approx([0.004, 0.004, 0.0012])


def test_a_gpu_that_is_lost_says_so(fake_device: CudaDevice, machine: Machine) -> None:
    step = scaling(fake_device, 1.0)
    fake_device.timed([step])
    machine.failing["launchKernel"] = CUDARuntimeError(719, "cudaErrorLaunchFailure: unspecified launch failure")
    with pytest.raises(DeviceError, match="cuda:0 failed"):
        fake_device.timed([step])


def test_the_name_of_the_hardware(fake_device: CudaDevice) -> None:
    assert fake_device.hardware == "Fake GPU (1 GiB)"
