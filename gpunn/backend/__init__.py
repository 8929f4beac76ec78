"""Devices by name. A backend is a module of functions that keep gpunn.backend.contract."""

from __future__ import annotations

from gpunn.backend.contract import Device
from gpunn.errors import DeviceError, UsageError

#: What `open` takes.
DEVICES = ("cpu", "emulator", "cuda", "cuda:N")


def open(name: str, threads: int | None = None) -> Device:
    """A handle for the device of that name.

    Args:
        name: "cpu"; "emulator", which runs the CUDA kernels on the CPU; "cuda" or "cuda:1" for a GPU.
        threads: for the CPU, how many; None takes GPUNN_THREADS or every core this process may use.

    Raises:
        DeviceError: when the device is not there, or cannot train yet.
        UsageError: for any other name.
    """
    kind, _, number = name.partition(":")
    if kind == "cpu" and not number:
        from gpunn.backend.cpu.device import open_cpu

        return open_cpu(threads)
    if kind == "emulator" and number in ("", "check"):
        from gpunn.backend.emulator import open_emulator

        return open_emulator(check=number == "check")
    if kind == "cuda" and (not number or number.isdigit()):
        raise DeviceError(
            f"device '{name}': this version trains on the CPU; its CUDA kernels run in the emulator only. "
            "Use --device cpu, or --device emulator to run the kernels without a GPU"
        )
    raise UsageError(f"device '{name}' is not known; choose one of auto, {', '.join(DEVICES)}")
