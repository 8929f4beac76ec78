"""NVRTC: its version, what it compiles a GPU's kernels for, and one kernel compiled."""

from __future__ import annotations

from typing import Any

from gpunn.backend.cuda.gpu.installation import Installation
from gpunn.backend.cuda.launching.source import ARCHITECTURES, packaged_source
from gpunn.errors import DeviceError

SOURCE = "fill.cu"


def answer(*capabilities: str) -> dict[str, Any]:
    """The version, such as [13, 0]; for each compute capability, such as "90", its architecture or why there is none;
    and for which architecture a kernel was compiled: the first GPU's, or the first that there is.

    Raises:
        DeviceError: NVRTC is missing, or compiles nothing.
    """
    installation = Installation()
    architectures = {capability: _architecture(installation, int(capability)) for capability in capabilities}
    version = installation.compiler()
    compiles_for = [found["name"] for found in architectures.values() if "name" in found] or ARCHITECTURES[1:2]
    source = next(packaged_source(SOURCE).variants())
    machine_code = installation.compile(source, compiles_for[0])
    return {
        "version": list(version),
        "architectures": architectures,
        "kernel": source.name,
        "architecture": machine_code.architecture,
        "bytes": len(machine_code.cubin),
    }


def _architecture(installation: Installation, capability: int) -> dict[str, str]:
    installation.compiler()
    try:
        return {"name": installation.compute("the GPU", capability).architecture}
    except DeviceError as error:
        return {"refused": str(error).partition(";")[0]}
