"""The tests run against the installed package, not against the folder beside them: only it has `gpunn.kernels`."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)
_path = list(sys.path)
sys.path[:] = [entry for entry in _path if entry not in ("", _HERE)]
import gpunn  # noqa: E402, F401

sys.path[:] = _path
