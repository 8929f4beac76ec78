"""How an epoch is divided into batches, and a batch into jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

JOB_BYTES = 5 << 18
"""A worker takes so many bytes of pixels at a time at most: 8 photographs of 224x224, or 1,671 digits."""

MINIMUM_AHEAD = 2
"""So many batches are read ahead at least."""


@dataclass(frozen=True)
class Division:
    """Nothing here depends on the number of workers but how far they read ahead.

    Attributes:
        samples: of the data set.
        batch_size: pictures in every batch but the last.
        picture_bytes: what one picture takes in a batch.
    """

    samples: int
    batch_size: int
    picture_bytes: int

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.samples // self.batch_size)

    def indices(self, order: npt.NDArray[np.int64] | None, step: int) -> npt.NDArray[np.int64]:
        """The samples of a batch, of an epoch in this order; None: the data set's own."""
        first = step * self.batch_size
        last = min(first + self.batch_size, self.samples)
        return np.arange(first, last, dtype=np.int64) if order is None else order[first:last]

    def parts(self, size: int) -> Iterator[tuple[int, int]]:
        """A batch of that size in the parts that one job fills, as even as can be."""
        count = self._jobs(size)
        for part in range(count):
            yield part * size // count, (part + 1) * size // count

    def ahead(self, workers: int) -> int:
        """The batches that are read while one is used: enough for two jobs a worker, so that none of them is idle."""
        return max(MINIMUM_AHEAD, -(-2 * workers // self._jobs(self.batch_size)))

    def slots(self, workers: int) -> int:
        """The batches in memory: the one used before, the one in use, and those that are read ahead."""
        return 1 + min(self.steps, 1 + self.ahead(workers))

    def _jobs(self, size: int) -> int:
        return -(-size // max(1, JOB_BYTES // self.picture_bytes))
