"""Gaussian noise on every sample of a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.blocks import store
from gpunn.random import Positions, Stream


def add_noise(
    images: npt.NDArray[np.uint8], deviation: float, seed: int, epoch: int, indices: npt.NDArray[np.int64]
) -> None:
    """Adds independent normal numbers to the samples of pictures, (N, H, W, C), in place.

    Args:
        images: the pictures.
        deviation: the standard deviation, on the scale where 255 is 1.
        seed, epoch, indices: of the pictures; what is added depends on nothing else.
    """
    positions = Positions(seed, Stream.NOISE, epoch)
    for position, index in enumerate(indices.tolist()):
        values = positions.at(index).standard_normal((1, *images.shape[1:]), np.float32)
        values *= np.float32(255 * deviation)
        values += images[position]
        store(images, np.array([position]), values)
