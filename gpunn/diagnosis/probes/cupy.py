"""Does CuPy load?"""

from __future__ import annotations

from typing import Any

from gpunn.backend.cuda.gpu.installation import Installation


def answer() -> dict[str, Any]:
    """Its version, and the CUDA version that it was built for, such as 13000.

    Raises:
        Exception: whatever importing it raises.
    """
    cupy = Installation().load()
    return {"version": cupy.__version__, "runtime": cupy.cuda.runtime.runtimeGetVersion()}
