"""The planned scratch memory of a convolution: a share for each thread, then what all threads use together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import ALIGNMENT, align
from gpunn.backend.contract import DType
from gpunn.geometry import Shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Share:
    """Numbers of scratch of one thread: a copy of the inputs of a block, its matrix, and a product.

    Thread t works on the chunks t, t + threads, ... (CpuDevice.parallel), so chunk % threads names its share.
    """

    window: int
    patches: int
    product: int

    @property
    def size(self) -> int:
        """Numbers of the three together, each aligned."""
        return sum(align(count, ALIGNMENT) for count in (self.window, self.patches, self.product))

    def enlarged(self, other: Share) -> Share:
        """A share that serves both."""
        return Share(max(self.window, other.window), max(self.patches, other.patches), max(self.product, other.product))


class Cutter:
    """Cuts arrays of one type from a flat workspace, one after another."""

    def __init__(self, workspace: Array, dtype: DType) -> None:
        self._numbers = workspace[: workspace.size // dtype.itemsize * dtype.itemsize].view(dtype)
        self._used = 0

    def take(self, *shape: int) -> Array:
        """The next array, aligned; its contents are arbitrary."""
        size = prod(shape)
        first = self._used
        self._used += align(size, ALIGNMENT)
        return self._numbers[first : first + size].reshape(shape)

    def take_shares(self, share: Share, threads: int) -> list[tuple[Array, Array, Array]]:
        """The window, the matrix and the product of each thread."""
        return [(self.take(share.window), self.take(share.patches), self.take(share.product)) for _ in range(threads)]


def workspace_bytes(share: Share, threads: int, together: Iterable[Shape], itemsize: int) -> int:
    """Bytes of a workspace that holds the shares of all threads and these arrays."""
    return itemsize * (threads * share.size + sum(align(prod(shape), ALIGNMENT) for shape in together))
