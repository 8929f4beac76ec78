"""The emulator: the CUDA backend with kernels that g++ builds and the CPU runs, for machines without a GPU."""

from __future__ import annotations

from gpunn.backend.cuda.device import CudaDevice

__all__ = ["open_emulator"]


def open_emulator(check: bool = False) -> CudaDevice:
    """A handle of the emulator, named "emulator".

    Primitives without a kernel are computed by the CPU backend.

    Args:
        check: run the check build, which reports races, accesses out of bounds, reads of what nobody wrote, and
            barriers that not all threads reach, with file and line.

    Raises:
        DeviceError: when g++ is missing, or the machine is not Linux on x86-64.
    """
    from gpunn.backend.emulator.launcher import EmulatorSettings
    from gpunn.backend.emulator.opening import open_with

    return open_with(EmulatorSettings(check=check))
