"""Emulators for tests: with kernels only, so that nothing is computed by another backend unnoticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory

FAST = EmulatorSettings()
CHECK = EmulatorSettings(check=True)
EVERY_WAY = {
    "fast": FAST,
    "fast, one worker": EmulatorSettings(workers=1),
    "fast, reverse": EmulatorSettings(schedule="reverse"),
    "fast, random": EmulatorSettings(schedule="random", seed=5, copies="late"),
    "check": CHECK,
    "check, reverse": EmulatorSettings(check=True, schedule="reverse"),
    "check, random": EmulatorSettings(check=True, schedule="random", seed=7, copies="late"),
}


@contextmanager
def emulator(settings: EmulatorSettings) -> Iterator[CudaDevice]:
    """An emulator whose primitives are those that have a kernel."""
    with emulator_and_executor(settings) as (device, _):
        yield device


@contextmanager
def recording_emulator() -> Iterator[tuple[CudaDevice, EmulatorExecutor]]:
    """The check build that counts memory traffic; the executor's `profile` holds the counts."""
    with emulator_and_executor(EmulatorSettings(check=True, record=True)) as both:
        yield both


@contextmanager
def emulator_and_executor(settings: EmulatorSettings) -> Iterator[tuple[CudaDevice, EmulatorExecutor]]:
    """An emulator, and what runs its kernels."""
    executor = EmulatorExecutor(settings)
    device = CudaDevice("emulator", HostMemory(), executor, cast("Primitives", cuda))
    yield device, executor
    device.close()
