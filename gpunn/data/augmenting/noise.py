"""Gaussian noise on every sample of a picture.

Pixels are whole numbers, so adding a rounded number is rounding the sum. The numbers are looked up in a table of the
middles of 65,536 equal parts of the distribution, which takes a fraction of drawing each of them.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from gpunn.random import Positions, Stream

_PARTS = 1 << 16
_PARTS_A_WORD = 4


def noise_levels(deviation: float) -> npt.NDArray[np.int16]:
    """The table, (65,536,), of differences in pixel values.

    Args:
        deviation: the standard deviation, on the scale where 255 is 1.
    """
    normal = NormalDist()
    half = np.array([normal.inv_cdf((part + 0.5) / _PARTS) for part in range(_PARTS // 2)])
    return np.rint(255 * deviation * np.concatenate([half, -half[::-1]])).astype(np.int16)


def add_noise(
    images: npt.NDArray[np.uint8], levels: npt.NDArray[np.int16], seed: int, epoch: int, indices: npt.NDArray[np.int64]
) -> None:
    """Adds independent numbers of the table to the samples of pictures, (N, H, W, C), in place.

    Args:
        images: the pictures.
        levels: what `noise_levels` gives.
        seed, epoch, indices: of the pictures; what is added depends on nothing else.
    """
    positions = Positions(seed, Stream.NOISE, epoch)
    words = -(-images[0].size // _PARTS_A_WORD)
    for image, index in zip(images, indices.tolist(), strict=True):
        drawn = positions.at(index).integers(0, 1 << 64, words, np.uint64).astype("<u8", copy=False).view("<u2")
        noisy = levels.take(drawn[: image.size]).reshape(image.shape)
        noisy += image
        np.clip(noisy, 0, 255, out=noisy)
        image[...] = noisy
