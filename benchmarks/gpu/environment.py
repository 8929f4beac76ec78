"""What a result was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from typing import Any

PACKAGES = ("gpunn", "numpy", "cupy-cuda12x", "cupy-cuda13x", "cuda-bindings", "nvidia-cuda-nvrtc", "torch")
QUERY = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit"


def environment(device: str) -> dict[str, Any]:
    """Device, driver, versions and date."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": device,
        "gpu": _gpu(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def _gpu() -> dict[str, str] | None:
    """As the driver's own tool tells it; None without one."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None
    return dict(zip(QUERY.split(","), (cell.strip() for cell in line.split(",")), strict=True))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
