"""Which CuPy packages are installed, and whether all files of a single one are there."""

from __future__ import annotations

import csv
import os
from importlib.metadata import Distribution, distribution
from typing import Any

from gpunn.backend.cuda.gpu.installation import installed_cupy_packages

#: Python makes these itself, and anybody may delete them.
_DISPENSABLE = (".pyc", ".pyo")


def answer() -> dict[str, Any]:
    """{"packages": names, "missing": files}."""
    packages = installed_cupy_packages()
    return {"packages": packages, "missing": _missing(distribution(packages[0])) if len(packages) == 1 else []}


def _missing(package: Distribution) -> list[str]:
    """Files of the record that pip keeps; `Distribution.files` leaves missing ones out from Python 3.12 on."""
    names = [row[0] for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if row]
    return [
        name for name in names if not name.endswith(_DISPENSABLE) and not os.path.exists(str(package.locate_file(name)))
    ]
