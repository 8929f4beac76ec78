"""Which part of a picture is shown."""

from __future__ import annotations

import math

from gpunn.data.augmenting.draws import Draw, Draws
from gpunn.data.decoding.picture import Box
from gpunn.data.preprocessing import Preprocessing


def random_box(
    area_range: tuple[float, float],
    ratio_range: tuple[float, float],
    draws: tuple[float, float, float, float],
    size: tuple[int, int],
) -> Box:
    """A random rectangle inside a picture (the crop of Szegedy et al., "Going deeper with convolutions", 2015).

    The area is drawn first, then the ratio among those that let this area fit into the picture, then the place.
    Where no allowed ratio fits, the nearest that does is taken; so one try is enough.

    Args:
        area_range: the least and the largest part of the picture's area.
        ratio_range: the least and the largest width / height, drawn evenly on a logarithmic scale.
        draws: numbers from 0 to 1 for area, ratio, top and left.
        size: height and width of the picture.
    """
    height, width = size
    area = (area_range[0] + (area_range[1] - area_range[0]) * draws[0]) * height * width
    narrowest, widest = area / height**2, width**2 / area
    low, high = (min(max(ratio, narrowest), widest) for ratio in ratio_range)
    ratio = low * (high / low) ** draws[1]
    box_width = min(math.sqrt(area * ratio), width)
    box_height = min(math.sqrt(area / ratio), height)
    left = draws[3] * (width - box_width)
    top = draws[2] * (height - box_height)
    return left, top, left + box_width, top + box_height


def window_box(preprocessing: Preprocessing, row: Draws, size: tuple[int, int]) -> Box:
    """A random window of the network's size, in whole pixels of the picture as it is scaled for evaluation.

    Krizhevsky, Sutskever and Hinton, 2012, section 4.1: patches of 224x224 of pictures whose shorter side is 256.

    Args:
        preprocessing: how pictures are evaluated; one that is stretched is shown as a whole.
        row: the draws of one picture.
        size: height and width of the picture.
    """
    if preprocessing.resize == "stretch":
        return preprocessing.evaluation_box(*size)
    height, width = size
    scale = min(size) / preprocessing.resize_to
    window_height, window_width = preprocessing.height * scale, preprocessing.width * scale
    left = _place(row[Draw.LEFT], (width - window_width) / scale) * scale
    top = _place(row[Draw.TOP], (height - window_height) / scale) * scale
    return left, top, left + window_width, top + window_height


def _place(draw: float, room: float) -> int:
    """A whole number from 0 to `room`, each as likely as the others; rounding must not cost the last of them."""
    return int(draw * (math.floor(room + 1e-6) + 1))
