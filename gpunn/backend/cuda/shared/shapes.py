"""Arrays at the border: each has the shape that its geometry asks for."""

from __future__ import annotations

from gpunn.backend.contract import Array
from gpunn.errors import UsageError
from gpunn.geometry import Shape


def require_shapes(primitive: str, **arrays: tuple[Array | None, Shape]) -> None:
    """Each array is None or has the shape beside it.

    Raises:
        UsageError: otherwise.
    """
    for name, (array, shape) in arrays.items():
        if array is not None and array.shape != shape:
            raise UsageError(f"{primitive}: {name} has shape {array.shape}; the geometry wants {shape}")
