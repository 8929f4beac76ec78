"""PyTorch itself: the only place that imports it, since gpunn works without."""

from __future__ import annotations

import importlib
from typing import Any

from gpunn.errors import UsageError

#: The first version with an optimiser on the CPU that updates all weights in one pass.
OLDEST = (2, 4)


def load_torch() -> Any:
    """The module torch.

    Raises:
        UsageError: when it is not installed, cannot be loaded, or is older than what the comparison needs.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        reason = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"
        raise UsageError(f"the comparison needs PyTorch, which {reason}; pip install torch") from None
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(f"PyTorch {version} is older than {oldest}; pip install 'torch>={oldest}'")
    return torch
