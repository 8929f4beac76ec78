"""Whether pictures can be drawn: matplotlib is installed with gpunn, and may have been taken away since."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from gpunn.errors import UsageError

_REMEDY = "pip install matplotlib"


def no_drawing() -> str | None:
    """Why nothing can be drawn and what to do about it; None where matplotlib is installed, which is not loaded."""
    return None if find_spec("matplotlib") is not None else f"matplotlib is not installed; {_REMEDY}"


def require_drawing(wish: str) -> None:
    """Load what draws.

    Args:
        wish: what needs it, the subject of the error's sentence.

    Raises:
        UsageError: when it is not installed, or damaged.
    """
    try:
        import_module("matplotlib.figure")
    except ImportError as error:
        raise UsageError(f"{wish} needs matplotlib, which cannot be loaded ({error}); {_REMEDY}") from error
