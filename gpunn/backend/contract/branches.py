"""Other shapes of the same numbers, and branches that meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gpunn.backend.contract.arrays import Array


class BranchPrimitives(Protocol):
    """Changes of shape, and branches that meet."""

    def flatten_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, H*W*C) in the order h, w, c."""

    def flatten_backward(self, device: Any, gx: Array, gy: Array, accumulate: bool) -> None:
        """The reverse copy."""

    def add(self, device: Any, y: Array, xs: Sequence[Array]) -> None:
        """y = the sum of all xs, from left to right."""

    def concatenate_forward(self, device: Any, y: Array, xs: Sequence[Array]) -> None:
        """The channels (or features) of all xs, one after another."""

    def concatenate_backward(self, device: Any, gx: Array, gy: Array, start: int, accumulate: bool) -> None:
        """gx = the channels of gy from `start` on."""
