"""How the parts of a dry run become a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.traits import Traits
from gpunn.backend.cuda.tune import Tuner
from gpunn.backend.dry_run.log import LaunchLog
from gpunn.backend.dry_run.memory import UnbackedMemory


@dataclass(frozen=True)
class DryRun:
    """A device that runs nothing, and what it was told.

    Attributes:
        device: looks like a GPU to programs.
        log: what was launched.
        memory: what was allocated.
    """

    device: CudaDevice
    log: LaunchLog
    memory: UnbackedMemory


def open_dry_run(name: str, architecture: str) -> DryRun:
    """A stand-in for a GPU that is not there; it takes the first kernels by rule of thumb.

    Args:
        name: of the GPU.
        architecture: that its kernels are compiled for, such as "90".
    """
    capability = int(architecture.rstrip("a"))
    memory, log = UnbackedMemory(), LaunchLog()
    traits = Traits(capability, tuner=Tuner(f"sm_{architecture}"), hardware=name)
    device = CudaDevice(name, memory, log, cast("Primitives", cuda), traits)
    return DryRun(device, log, memory)
