"""Pictures a few at a time: enough for long array operations, few enough for their scratch to stay in the caches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BLOCK_SAMPLES = 1 << 17


def blocks(positions: npt.NDArray[np.int64], picture_samples: int) -> Iterator[npt.NDArray[np.int64]]:
    """The positions in turn, so many at once that their pictures have about `BLOCK_SAMPLES` samples."""
    size = max(1, BLOCK_SAMPLES // picture_samples)
    for first in range(0, len(positions), size):
        yield positions[first : first + size]


def store(images: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], values: npt.NDArray[np.float32]) -> None:
    """Puts numbers, (N, H, W, C), rounded and clipped to 0 to 255, where these pictures are; `values` is scratch."""
    values += np.float32(0.5)
    np.clip(values, 0, 255, out=values)
    images[positions] = values
