"""Some pictures with their labels, and the memory that batches lie in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.arena import align
from gpunn.data.loading.failure import Failure

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
        targets: the data set's targets, (N, ...) by name; augmentation changes images only. A loader that is asked for
            soft labels adds "soft_labels", float32, (N, classes).
        skipped: pictures that belong here and could not be read; the arrays hold the others, in order.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    placement: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int64]
    targets: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    skipped: tuple[Failure, ...] = ()
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
            _holds=self._holds,
        )

    def without(self, failures: Sequence[Failure]) -> Batch:
        """The samples whose pictures could be read, moved to the front of the same memory."""
        failed = {failure.position for failure in failures}
        first = min(failed, default=len(self))
        later = [position for position in range(first, len(self)) if position not in failed]
        last = first + len(later)
        arrays: list[npt.NDArray[Any]] = [self.images, self.labels, self.placement, self.indices]
        for values in (*arrays, *self.targets.values()):
            values[first:last] = values[later]
        return replace(self.part(0, last), skipped=tuple(sorted(failures, key=lambda failure: failure.position)))

    def hold(self, until: Callable[[], None]) -> None:
        """Keep the arrays as they are, longer than the loader promises: it calls `until` before it writes to them.

        What is given again, or equals what was given before, is called once.
        """
        if until not in self._holds:
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
