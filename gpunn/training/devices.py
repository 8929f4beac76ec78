"""The device that an option names, and what it computes."""

from __future__ import annotations

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.precision import Precision, precision


def open_device(name: str, threads: int | None = None, algorithm: ConvolutionAlgorithm = "auto") -> tuple[Device, str]:
    """A device, and a line that says which; "auto" takes CUDA where it works, else the CPU, and says why.

    Raises:
        DeviceError: when a device that was asked for by name is not there.
    """
    if name != "auto":
        device = backend.open(name, threads, algorithm)
        return device, f"device: {device.name}"
    try:
        device = backend.open("cuda")
    except (DeviceError, MemoryExhaustedError) as error:
        device = backend.open("cpu", threads, algorithm)
        reason, _, _ = str(error).partition(";")
        return device, f"device: cpu (auto: {' '.join(reason.split())})"
    return device, f"device: {device.name} (auto)"


def with_check(device: str, check: bool) -> str:
    """The name of a device, of its check build if that is wanted.

    Raises:
        UsageError: when the device has no check build.
    """
    if not check:
        return device
    if device not in ("emulator", "emulator:check"):
        raise UsageError(f"--check goes with --device emulator, which finds what is wrong with kernels, not {device!r}")
    return "emulator:check"


def check_precision(name: str, device: Device) -> Precision:
    """The number types of that name, if the device computes them.

    Raises:
        DeviceError: when it does not.
    """
    chosen = precision(name)
    if name not in device.precisions:
        raise DeviceError(
            f"precision {name} is not computed on {device.name}; use --precision {' or '.join(device.precisions)}, or "
            f"{_devices_for(name)}"
        )
    return chosen


def precision_to_resume(name: str, device: Device) -> Precision:
    """The number types that a run has computed in so far, which it cannot change.

    Raises:
        DeviceError: when the device does not compute them.
    """
    if name not in device.precisions:
        raise DeviceError(
            f"the run computes in {name}, and {device.name} does not; go on with it on {_devices_for(name)}"
        )
    return precision(name)


def precision_to_measure(name: str, device: Device) -> tuple[Precision, str | None]:
    """That precision, or float32 with a note where the device does not compute it: every checkpoint has float32 weights
    or wider ones, and what was trained on a GPU is looked at anywhere."""
    if name in device.precisions:
        return precision(name), None
    return precision("float32"), f"trained in {name}, which {device.name} does not compute: this is float32"


def _devices_for(name: str) -> str:
    """Where a precision is computed, to add to an error."""
    if name == "float64":
        return "--device cpu"
    return "a GPU of compute capability 8.0 or later (--device cuda), or --device emulator"
