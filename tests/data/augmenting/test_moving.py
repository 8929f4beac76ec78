from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.draws import draw
from gpunn.data.augmenting.moving import mirror, move
from tests.data.pictures import random_picture

DRAWS = draw(0, 0, np.arange(2000, dtype=np.int64))


def test_digits_are_moved_within_the_ranges_of_the_recipe() -> None:
    dot = np.zeros((2000, 29, 29, 1), np.uint8)
    dot[:, 11:18, 11:18] = 255
    move(Augmentation.for_digits(), dot, DRAWS)
    mass = dot[..., 0].astype(np.float64)
    rows = (mass.sum(axis=2) @ np.arange(29)) / mass.sum(axis=(1, 2)) - 14
    columns = (mass.sum(axis=1) @ np.arange(29)) / mass.sum(axis=(1, 2)) - 14
    for offset in (rows, columns):
        assert np.abs(offset).max() <= 0.1 * 29 + 0.05
        assert offset.max() > 2.6
        assert offset.min() < -2.6
        assert abs(offset.mean()) < 0.15
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.1
    # The area of the dot grows with the square of the scale.
    area = mass.sum(axis=(1, 2)) / (49 * 255)
    assert 0.62 < area.min() < 0.66
    assert 1.40 < area.max() < 1.48


def test_rotations_reach_both_sides() -> None:
    bar = np.zeros((2000, 41, 41, 1), np.uint8)
    bar[:, 20, 5:36] = 255
    move(Augmentation(rotation=30.0), bar, DRAWS)
    place = np.arange(41) - 20.0
    mass = bar[..., 0].astype(np.float64)
    slope = np.einsum("nhw,h,w->n", mass, place, place) / np.einsum("nhw,w->n", mass, place**2)
    degrees = np.rad2deg(np.arctan(slope))
    assert 28 < degrees.max() < 31
    assert -31 < degrees.min() < -28
    assert abs(degrees.mean()) < 1.5


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_that_were_asked_for_are_mirrored(channels: int) -> None:
    images: npt.NDArray[np.uint8] = np.stack([random_picture(seed, 4, 5, channels) for seed in range(3)])
    original = images.copy()
    mirror(images, np.array([True, False, True]))
    for row in range(4):
        for column in range(5):
            np.testing.assert_array_equal(images[::2, row, column], original[::2, row, 4 - column])
    np.testing.assert_array_equal(images[1], original[1])
