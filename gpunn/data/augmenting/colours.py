"""Changes of colour: all of them together are one affine map of RGB for each picture, applied with one rounding.

Haeberli, "Matrix operations for image processing", 1993, writes brightness, contrast, saturation and hue as matrices;
luma and chroma are those of NTSC's YIQ. Light along principal axes: Krizhevsky, Sutskever and Hinton, 2012,
section 4.1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.blocks import blocks, store
from gpunn.data.augmenting.draws import Draw, Draws, either_way

Numbers = npt.NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])
_YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def change_colours(augmentation: Augmentation, images: npt.NDArray[np.uint8], draws: Draws) -> None:
    """Changes the colours of pictures, (N, H, W, 1 or 3), in place; of gray ones brightness and contrast only."""
    if images.shape[3] == 1:
        _change_gray(augmentation, images, draws)
        return
    means = _means(images) if augmentation.contrast else np.zeros((len(images), 3))
    for picture, colour_map in zip(images, colour_maps(augmentation, draws, means), strict=True):
        matrix = tuple(colour_map.ravel().tolist())
        picture[...] = np.asarray(Image.fromarray(picture).convert("RGB", matrix))


def colour_maps(augmentation: Augmentation, draws: Draws, means: Numbers) -> Numbers:
    """The maps from RGB to RGB, (N, 3, 4), the last column added to pixels from 0 to 255.

    Brightness comes first, then contrast, saturation, hue and light.

    Args:
        augmentation: its ranges.
        draws: of the pictures.
        means: of the pictures' channels, (N, 3), 0 to 255; contrast alone asks for them.
    """
    brightness, contrast, saturation = (
        1 + either_way(strength, draws[:, column])
        for strength, column in (
            (augmentation.brightness, Draw.BRIGHTNESS),
            (augmentation.contrast, Draw.CONTRAST),
            (augmentation.saturation, Draw.SATURATION),
        )
    )
    maps = np.zeros((len(draws), 3, 4))
    maps[:, :, :3] = (contrast * brightness)[:, np.newaxis, np.newaxis] * np.eye(3)
    maps[:, :, 3] = ((1 - contrast) * brightness * (means @ LUMA))[:, np.newaxis]
    if augmentation.saturation:
        own = saturation[:, np.newaxis, np.newaxis]
        maps = (own * np.eye(3) + (1 - own) * LUMA) @ maps
    if augmentation.hue:
        maps = _hue_turns(np.deg2rad(either_way(augmentation.hue, draws[:, Draw.HUE]))) @ maps
    if augmentation.lighting:
        multiples = augmentation.lighting * _normal_numbers(draws)
        maps[:, :, 3] += 255 * multiples @ np.array(augmentation.colour_axes)
    return maps


def _hue_turns(radians: Numbers) -> Numbers:
    """(N, 3, 3): the plane of I and Q turned, luma left as it is."""
    turns = np.zeros((len(radians), 3, 3))
    turns[:, 0, 0] = 1
    turns[:, 1, 1] = turns[:, 2, 2] = np.cos(radians)
    turns[:, 2, 1] = np.sin(radians)
    turns[:, 1, 2] = -turns[:, 2, 1]
    return np.asarray(np.linalg.inv(_YIQ) @ turns @ _YIQ)


def _normal_numbers(draws: Draws) -> Numbers:
    """Three independent normal numbers a picture (Box and Muller, 1958)."""
    lengths = np.sqrt(-2 * np.log1p(-draws[:, [Draw.FIRST_LENGTH, Draw.SECOND_LENGTH]]))
    angles = 2 * np.pi * draws[:, [Draw.FIRST_ANGLE, Draw.SECOND_ANGLE]]
    pairs = lengths * np.cos(angles)
    return np.stack([pairs[:, 0], lengths[:, 0] * np.sin(angles[:, 0]), pairs[:, 1]], axis=1)


def _means(images: npt.NDArray[np.uint8]) -> Numbers:
    """The mean of each channel, (N, C)."""
    count, height, width, channels = images.shape
    # Along the rows first, whose neighbours are added side by side.
    rows = np.add.reduce(images.reshape(count, height, width * channels), axis=1, dtype=np.uint32)
    sums = np.add.reduce(rows.reshape(count, width, channels), axis=1, dtype=np.uint64)
    return np.asarray(sums / (height * width))


def _change_gray(augmentation: Augmentation, images: npt.NDArray[np.uint8], draws: Draws) -> None:
    if augmentation.brightness == augmentation.contrast == 0.0:
        return
    brightness = 1 + either_way(augmentation.brightness, draws[:, Draw.BRIGHTNESS])
    contrast = 1 + either_way(augmentation.contrast, draws[:, Draw.CONTRAST])
    factors = (brightness * contrast).astype(np.float32).reshape(-1, 1, 1, 1)
    added = (brightness * (1 - contrast) * _means(images)[:, 0]).astype(np.float32).reshape(-1, 1, 1, 1)
    for block in blocks(np.arange(len(images)), images[0].size):
        values = images[block].astype(np.float32)
        values *= factors[block]
        values += added[block]
        store(images, block, values)
