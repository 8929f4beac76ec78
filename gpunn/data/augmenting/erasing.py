"""Random erasing: a rectangle of the picture becomes noise.

Zhong, Zheng, Kang, Li and Yang, "Random erasing data augmentation", 2017 (AAAI 2020), algorithm 1, with random pixels
(RE-R); the rectangle is drawn like a crop instead of again and again until it fits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.cropping import random_box
from gpunn.data.augmenting.draws import Draw, Draws
from gpunn.random import Positions, Stream


def erase(
    augmentation: Augmentation,
    images: npt.NDArray[np.uint8],
    draws: Draws,
    seed: int,
    epoch: int,
    indices: npt.NDArray[np.int64],
) -> None:
    """Fills a rectangle in some of the pictures, (N, H, W, C), in place."""
    _, height, width, channels = images.shape
    positions = Positions(seed, Stream.ERASING, epoch)
    for position in np.flatnonzero(draws[:, Draw.ERASED] < augmentation.erase).tolist():
        area, ratio, top, left = draws[position, Draw.ERASED_AREA : Draw.ERASED_LEFT + 1].tolist()
        box = random_box(augmentation.erase_area, augmentation.erase_ratio, (area, ratio, top, left), (height, width))
        first_column, first_row, last_column, last_row = (round(edge) for edge in box)
        shape = (last_row - first_row, last_column - first_column, channels)
        noise = positions.at(int(indices[position])).integers(0, 256, shape, np.uint8)
        images[position, first_row:last_row, first_column:last_column] = noise
