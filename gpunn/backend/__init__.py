"""Devices by name. A backend is a module of functions that keep gpunn.backend.contract."""

from __future__ import annotations

from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.errors import UsageError

#: What `open` takes.
DEVICES = ("cpu", "emulator", "emulator:check", "cuda", "cuda:N")


def open(name: str, threads: int | None = None, algorithm: ConvolutionAlgorithm = "auto") -> Device:
    """A handle for the device of that name.

    Args:
        name: "cpu"; "emulator", which runs the CUDA kernels on the CPU, or "emulator:check", which also finds what is
            wrong with them; "cuda" or "cuda:1" for a GPU.
        threads: for the CPU, how many; None takes GPUNN_THREADS or every core this process may use.
        algorithm: for the CPU, of the convolutions that name none themselves.

    Raises:
        DeviceError: when the device is not there, or cannot be used.
        UsageError: for any other name.
    """
    kind, _, number = name.partition(":")
    if kind == "cpu" and not number:
        from gpunn.backend.cpu.device import open_cpu

        return open_cpu(threads, algorithm)
    if kind == "emulator" and number in ("", "check"):
        from gpunn.backend.emulator import open_emulator

        return open_emulator(check=number == "check")
    if kind == "cuda" and (not number or number.isdecimal()):
        from gpunn.backend.cuda.opening import open_cuda

        return open_cuda(int(number or "0"))
    raise UsageError(f"device '{name}' is not known; choose one of auto, {', '.join(DEVICES)}")
