"""The device that an option names, and what it computes."""

from __future__ import annotations

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.errors import DeviceError
from gpunn.precision import Precision, precision

#: Number types that the CPU computes in.
CPU_PRECISIONS = ("float32", "float64")


def open_device(name: str, threads: int | None = None) -> tuple[Device, str]:
    """A device, and a line that says which; "auto" takes CUDA where gpunn can train on it, else the CPU.

    Raises:
        DeviceError: when a device that was asked for by name is not there.
    """
    if name != "auto":
        device = backend.open(name, threads)
        return device, f"device: {device.name}"
    try:
        device = backend.open("cuda")
    except DeviceError:
        device = backend.open("cpu", threads)
        return device, "device: cpu (auto: this version trains on the CPU)"
    return device, f"device: {device.name} (auto)"


def check_precision(name: str, device: Device) -> Precision:
    """The number types of that name, if the device computes them.

    Raises:
        DeviceError: when it does not.
    """
    chosen = precision(name)
    if name not in CPU_PRECISIONS:
        raise DeviceError(
            f"precision {name} needs tensor cores, which {device.name} has not; use --precision float32 or float64"
        )
    return chosen
