"""Which CuPy packages are installed, and whether all files of a single one are there."""

from __future__ import annotations

import os
from importlib.metadata import distribution
from typing import Any

from gpunn.backend.cuda.gpu.installation import installed_cupy_packages

#: Python makes these itself, and anybody may delete them.
_DISPENSABLE = (".pyc", ".pyo")


def answer() -> dict[str, Any]:
    """{"packages": names, "missing": files}."""
    packages = installed_cupy_packages()
    files = (distribution(packages[0]).files or []) if len(packages) == 1 else []
    missing = [str(file) for file in files if file.suffix not in _DISPENSABLE and not os.path.exists(file.locate())]
    return {"packages": packages, "missing": missing}
