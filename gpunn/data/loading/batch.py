"""Some pictures with their labels, and the memory that batches lie in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.arena import align

_ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Batch:
    """N pictures. The arrays belong to the loader: a batch is valid until the next but one is asked for.

    Attributes:
        images: uint8, (N, H, W, C).
        labels: int32, (N,).
        placement: int32, (N, 3): top and left of the network's input inside the image, and 1 where it is to be
            mirrored. The loader's images have the size of the input, so top and left are 0.
        indices: int64, (N,), the samples' places in the data set.
        targets: the data set's targets, (N, ...) by name; augmentation changes images only.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    placement: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int64]
    targets: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    _holds: list[Callable[[], None]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, first: int, last: int) -> Batch:
        """The samples from `first` up to, not including, `last`; a view."""
        return Batch(
            self.images[first:last],
            self.labels[first:last],
            self.placement[first:last],
            self.indices[first:last],
            {name: values[first:last] for name, values in self.targets.items()},
            self._holds,
        )

    def hold(self, until: Callable[[], None]) -> None:
        """Keep the arrays as they are, longer than the loader promises: it calls `until` before it writes to them."""
        self._holds.append(until)

    def release(self) -> None:
        """Wait for everyone who holds the arrays."""
        while self._holds:
            self._holds.pop()()


@dataclass(frozen=True)
class BatchLayout:
    """Where the arrays of a batch lie in a flat piece of memory, which threads and processes may share.

    Attributes:
        size: pictures.
        picture: height, width, channels.
        targets: name, type (as NumPy writes it) and shape without N, of each target.
    """

    size: int
    picture: tuple[int, int, int]
    targets: tuple[tuple[str, str, tuple[int, ...]], ...] = ()

    @property
    def bytes(self) -> int:
        """What one batch takes."""
        return sum(align(_bytes(shape, dtype), _ALIGNMENT) for _, shape, dtype in self._arrays())

    def batches(self, memory: npt.NDArray[np.uint8]) -> list[Batch]:
        """As many batches as the memory has room for."""
        return [
            self._batch(memory[start : start + self.bytes])
            for start in range(0, len(memory) - self.bytes + 1, self.bytes)
        ]

    def _batch(self, memory: npt.NDArray[np.uint8]) -> Batch:
        views: dict[str, npt.NDArray[Any]] = {}
        offset = 0
        for name, shape, dtype in self._arrays():
            count = _bytes(shape, dtype)
            views[name] = memory[offset : offset + count].view(dtype).reshape(shape)
            offset += align(count, _ALIGNMENT)
        images, labels, placement, indices = (views.pop(name) for name in ("images", "labels", "placement", "indices"))
        return Batch(images, labels, placement, indices, views)

    def _arrays(self) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
        named: list[tuple[str, tuple[int, ...], str]] = [
            ("images", self.picture, "u1"),
            ("labels", (), "i4"),
            ("placement", (3,), "i4"),
            ("indices", (), "i8"),
            *((name, shape, dtype) for name, dtype, shape in self.targets),
        ]
        return [(name, (self.size, *shape), np.dtype(dtype)) for name, shape, dtype in named]


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return prod(shape) * dtype.itemsize
