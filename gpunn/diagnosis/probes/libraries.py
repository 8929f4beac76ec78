"""Do modules load?"""

from __future__ import annotations

import importlib
from typing import Any

from gpunn.diagnosis.reason import reason


def answer(*modules: str) -> dict[str, Any]:
    """{"failed": {module: why}}."""
    failed = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            failed[module] = reason(error)
    return {"failed": failed}
