"""The sides of a comparison, opened together and closed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.timing.contestant import Contestant, Task
from gpunn.timing.gpunn_contestant import GpunnContestant
from gpunn.timing.pinning import pinned

#: Devices that PyTorch has, too.
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


def devices_there() -> tuple[tuple[str, ...], str]:
    """The CPU, and CUDA where it works; and why not, else."""
    try:
        backend.open("cuda").close()
    except (DeviceError, MemoryExhaustedError) as error:
        return ("cpu",), str(error).partition(";")[0]
    return ("cpu", "cuda"), ""


@contextmanager
def open_sides(task: Task, devices: Sequence[str], threads: int | None, with_pytorch: bool) -> Iterator[Sides]:
    """Everybody who computes a task.

    Args:
        task: what is computed.
        devices: names for gpunn.backend.open.
        threads: of a CPU; None takes what `open` takes.
        with_pytorch: whether PyTorch takes part on the same devices.

    Raises:
        UsageError: when two names are of one device.
        DeviceError: when a device is not there or does not compute the task's precision.
        MemoryExhaustedError: when the task does not fit a device.
    """
    with ExitStack() as stack:
        opened = [_open(name, devices, threads) for name in devices]
        for device in opened:
            stack.callback(device.close)
        for number, device in enumerate(opened):
            _require_precision(device, task.precision)
            if device.name in [other.name for other in opened[:number]]:
                raise UsageError(f"{device.name} is named twice in --devices {','.join(devices)}; name it once")
        counts = [count for device in opened if isinstance(count := device.thread_plan().get("cpu_threads"), int)]
        cores = stack.enter_context(pinned(max(counts))) if counts else ()
        contestants: list[Contestant] = []
        for device in opened:
            contestants.append(GpunnContestant(task, device))
            if with_pytorch and device.name.partition(":")[0] in _SHARED:
                from gpunn.timing.pytorch import pytorch_contestant

                contestants.append(pytorch_contestant(task, device.name, max(counts, default=None)))
        for contestant in contestants:
            stack.callback(contestant.close)
        yield Sides(tuple(contestants), cores)


def _open(name: str, devices: Sequence[str], threads: int | None) -> Device:
    try:
        return backend.open(name, threads)
    except DeviceError as error:
        others = [other for other in devices if other != name]
        if not others:
            raise
        raise DeviceError(f"{error}; the others go without it: --devices {','.join(others)}") from None


def _require_precision(device: Device, precision: str) -> None:
    if precision not in device.precisions:
        raise DeviceError(
            f"precision {precision} is not computed on {device.name}; use --precision "
            f"{' or '.join(device.precisions)}, or leave {device.name} out of --devices"
        )
