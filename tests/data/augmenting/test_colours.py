"""Changes of colour against the same changes made one after the other in float64, without rounding between them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.colours import change_colours, colour_maps
from gpunn.data.augmenting.draws import Draw, draw
from tests.data.pictures import random_picture

AXES = ((0.2, 0.21, 0.19), (0.05, 0.0, -0.05), (-0.01, 0.02, -0.01))
DRAWS = draw(3, 0, np.arange(5, dtype=np.int64))
Pixels = npt.NDArray[np.float64]


def luma(pixels: Pixels) -> Pixels:
    result: Pixels = 0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]
    return result[..., np.newaxis]


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """The chroma turned as a complex number I + iQ."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    i = 0.595716 * red - 0.274453 * green - 0.321263 * blue
    q = 0.211456 * red - 0.522591 * green + 0.311135 * blue
    chroma = (i + 1j * q) * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    # The inverse of YIQ as it is tabulated, to four digits.
    y, i, q = luma(pixels)[..., 0], chroma.real, chroma.imag
    return np.stack([y + 0.9563 * i + 0.6210 * q, y - 0.2721 * i - 0.6474 * q, y - 1.1070 * i + 1.7046 * q], axis=-1)


def changed_one_by_one(augmentation: Augmentation, picture: npt.NDArray[np.uint8], row: npt.NDArray[Any]) -> Pixels:
    pixels = picture.astype(np.float64)
    pixels = pixels * (1 + augmentation.brightness * (2 * row[Draw.BRIGHTNESS] - 1))
    contrast = 1 + augmentation.contrast * (2 * row[Draw.CONTRAST] - 1)
    mean = luma(pixels).mean() if picture.shape[2] == 3 else pixels.mean()
    pixels = mean + contrast * (pixels - mean)
    if picture.shape[2] == 1:
        return pixels
    gray = luma(pixels)
    pixels = gray + (1 + augmentation.saturation * (2 * row[Draw.SATURATION] - 1)) * (pixels - gray)
    if augmentation.hue:
        pixels = turned(pixels, augmentation.hue * (2 * row[Draw.HUE] - 1))
    if augmentation.lighting:
        lengths = [math.sqrt(-2 * math.log(1 - row[column])) for column in (Draw.FIRST_LENGTH, Draw.SECOND_LENGTH)]
        angles = [2 * math.pi * row[column] for column in (Draw.FIRST_ANGLE, Draw.SECOND_ANGLE)]
        numbers = [lengths[0] * math.cos(angles[0]), lengths[0] * math.sin(angles[0]), lengths[1] * math.cos(angles[1])]
        for number, axis in zip(numbers, AXES, strict=True):
            pixels = pixels + 255 * augmentation.lighting * number * np.array(axis)
    return pixels


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(brightness=0.5),
        Augmentation(contrast=0.6),
        Augmentation(saturation=0.9),
        Augmentation(hue=60.0),
        Augmentation(lighting=0.4, colour_axes=AXES),
        Augmentation(brightness=0.4, contrast=0.4, saturation=0.4, hue=30.0, lighting=0.1, colour_axes=AXES),
    ],
)
def test_colours_are_changed_with_one_rounding(augmentation: Augmentation) -> None:
    images = np.stack([random_picture(seed, 9, 7) for seed in range(5)])
    original = images.copy()
    change_colours(augmentation, images, DRAWS)
    for image, picture, row in zip(images, original, DRAWS, strict=True):
        expected = np.clip(changed_one_by_one(augmentation, picture, row), 0, 255)
        # The table of YIQ has four digits: 0.03 of 255.
        assert np.abs(image - expected).max() < 0.55
    assert (images != original).any(axis=(1, 2, 3)).all()


def test_gray_pictures_have_brightness_and_contrast() -> None:
    augmentation = Augmentation(brightness=0.4, contrast=0.5, saturation=0.5, hue=90.0, lighting=1.0, colour_axes=AXES)
    images = np.stack([random_picture(seed, 9, 7, 1) for seed in range(5)])
    original = images.copy()
    change_colours(augmentation, images, DRAWS)
    for image, picture, row in zip(images, original, DRAWS, strict=True):
        expected = np.clip(changed_one_by_one(augmentation, picture, row), 0, 255)
        assert np.abs(image - expected).max() < 0.501


def test_gray_pictures_have_no_hue() -> None:
    images = np.stack([random_picture(seed, 9, 7, 1) for seed in range(5)])
    original = images.copy()
    change_colours(Augmentation(saturation=0.5, hue=90.0), images, DRAWS)
    np.testing.assert_array_equal(images, original)


def test_gray_in_colour_stays_gray() -> None:
    images = np.repeat(np.stack([random_picture(seed, 9, 7, 1) for seed in range(5)]), 3, axis=3)
    original = images.copy()
    change_colours(Augmentation(saturation=1.0, hue=180.0), images, DRAWS)
    assert np.abs(images.astype(int) - original).max() <= 1


@pytest.mark.parametrize(("name", "column"), [("brightness", Draw.BRIGHTNESS), ("contrast", Draw.CONTRAST)])
def test_changes_reach_both_ends_of_their_range(name: str, column: Draw) -> None:
    rows = np.full((2, len(Draw)), 0.5)
    rows[:, column] = (0.0, 1.0)
    maps = colour_maps(Augmentation(**{name: 0.3}), rows, np.zeros((2, 3)))
    np.testing.assert_allclose(maps[:, :, :3], np.array([0.7, 1.3]).reshape(2, 1, 1) * np.eye(3))


def test_light_has_the_covariance_of_the_axes() -> None:
    """Multiples of 0.1 along each axis: covariance 0.01 sum of axis axis^T."""
    rows = draw(0, 0, np.arange(20_000, dtype=np.int64))
    added = colour_maps(Augmentation(lighting=0.1, colour_axes=AXES), rows, np.zeros((len(rows), 3)))[:, :, 3] / 255
    expected = 0.01 * sum(np.outer(axis, axis) for axis in AXES)
    np.testing.assert_allclose(np.cov(added.T), expected, atol=0.03 * expected.max())
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=0.001)
    # Normal numbers lie beyond one deviation in 31.7%, and beyond two in 4.55%.
    beyond = Counter(np.minimum(np.abs(added[:, 0] / math.sqrt(expected[0, 0])).astype(int), 2).tolist())
    assert (beyond[1] + beyond[2]) / len(rows) == pytest.approx(0.317, abs=0.01)
    assert beyond[2] / len(rows) == pytest.approx(0.0455, abs=0.005)
