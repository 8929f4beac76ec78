"""How the parts of the emulator become a device."""

from __future__ import annotations

from typing import cast

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator.build import compiler
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory


def open_with(settings: EmulatorSettings) -> CudaDevice:
    """A handle of the emulator with settings of one's own.

    Raises:
        DeviceError: when g++ is missing, or the machine is not Linux on x86-64.
    """
    compiler()
    memory, executor = HostMemory(settings.memory_bytes), EmulatorExecutor(settings)
    return CudaDevice("emulator", memory, executor, cast("Primitives", cuda))
