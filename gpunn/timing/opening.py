"""The sides of a comparison, opened together and closed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.timing.contestant import Contestant, Task
from gpunn.timing.gpunn_contestant import GpunnContestant
from gpunn.timing.pinning import pinned

#: Devices that are timed by default, and that PyTorch has, too.
_SHARED = ("cpu", "cuda")


@dataclass(frozen=True)
class Sides:
    """Everybody, ready to run.

    Attributes:
        contestants: gpunn's devices in the order in which they were named, each with PyTorch's behind it.
        cores: that the threads are kept on; none where no CPU takes part.
    """

    contestants: tuple[Contestant, ...]
    cores: tuple[int, ...]


def devices_there(precision: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The CPU and CUDA, where they work and compute a precision, and why one of them is left out, by its name.

    Where there is neither, the CPU: who opens it says which precisions there are.
    """
    found: list[str] = []
    left_out: dict[str, str] = {}
    for name in _SHARED:
        try:
            with closing(backend.open(name)) as device:
                if precision in device.precisions:
                    found.append(name)
                else:
                    left_out[name] = f"it does not compute {precision}"
        except (DeviceError, MemoryExhaustedError) as error:
            left_out[name] = str(error).partition(";")[0]
    return (tuple(found), left_out) if found else (("cpu",), left_out)


@contextmanager
def open_sides(task: Task, devices: Sequence[str], threads: int | None, with_pytorch: bool) -> Iterator[Sides]:
    """Everybody who computes a task.

    Args:
        task: what is computed.
        devices: names for gpunn.backend.open.
        threads: of a CPU; None takes what `open` takes.
        with_pytorch: whether PyTorch takes part on the same devices.

    Raises:
        UsageError: when two names are of one device; when PyTorch has none of them, is not installed, or lacks the
            precision or a layer.
        DeviceError: when a device is not there or does not compute the task's precision.
        MemoryExhaustedError: when the task does not fit a device.
    """
    with ExitStack() as stack:
        opened: list[Device] = []
        for name in devices:
            device = _open(name, devices, threads, task.algorithm)
            stack.callback(device.close)
            _require_precision(device, task.precision, is_alone=len(devices) == 1)
            if device.name in [other.name for other in opened]:
                raise UsageError(f"{device.name} is named twice in --devices {','.join(devices)}; name it once")
            opened.append(device)
        if with_pytorch and not any(map(_is_shared, opened)):
            raise UsageError(
                f"PyTorch has none of --devices {','.join(devices)}; add {' or '.join(_SHARED)}, or leave out --compare"
            )
        counts = [count for device in opened if isinstance(count := device.thread_plan().get("cpu_threads"), int)]
        cores = stack.enter_context(pinned(max(counts))) if counts else ()
        contestants: list[Contestant] = []
        for contestant in _contestants(task, opened, max(counts, default=None), with_pytorch):
            stack.callback(contestant.close)
            contestants.append(contestant)
        yield Sides(tuple(contestants), cores)


def _contestants(
    task: Task, devices: Sequence[Device], threads: int | None, with_pytorch: bool
) -> Iterator[Contestant]:
    for device in devices:
        yield GpunnContestant(task, device)
        if with_pytorch and _is_shared(device):
            from gpunn.timing.pytorch import pytorch_contestant

            yield pytorch_contestant(task, device.name, threads)


def _is_shared(device: Device) -> bool:
    return device.name.partition(":")[0] in _SHARED


def _open(name: str, devices: Sequence[str], threads: int | None, algorithm: ConvolutionAlgorithm) -> Device:
    try:
        return backend.open(name, threads, algorithm)
    except DeviceError as error:
        others = [other for other in devices if other != name]
        if not others:
            raise
        raise DeviceError(f"{error}; the others go without it: --devices {','.join(others)}") from None


def _require_precision(device: Device, precision: str, is_alone: bool) -> None:
    if precision not in device.precisions:
        without = "" if is_alone else f", or leave {device.name} out of --devices"
        raise DeviceError(
            f"precision {precision} is not computed on {device.name}; use --precision "
            f"{' or '.join(device.precisions)}{without}"
        )
