from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.augmenting import warp as module
from gpunn.data.augmenting.warp import affine_matrices, warp
from tests.data.pictures import random_picture


def matrices(
    count: int,
    size: tuple[int, int],
    right: float = 0.0,
    down: float = 0.0,
    degrees: float = 0.0,
    scale: float = 1.0,
    shear: float = 0.0,
) -> npt.NDArray[np.float64]:
    shift = np.tile([right, down], (count, 1))
    return affine_matrices(shift, np.full(count, degrees), np.full(count, scale), np.full(count, shear), size)


def moved(picture: npt.NDArray[np.uint8], background: int = 0, **motion: float) -> npt.NDArray[np.uint8]:
    images = picture[np.newaxis].copy()
    height, width, _ = picture.shape
    warp(images, matrices(1, (height, width), **motion), background)
    result: npt.NDArray[np.uint8] = images[0]
    return result


def read_bilinearly(picture: npt.NDArray[np.uint8], x: float, y: float, background: int) -> npt.NDArray[np.float64]:
    left, top = math.floor(x), math.floor(y)
    total = np.zeros(picture.shape[2])
    for row, row_part in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_part in ((left, left + 1 - x), (left + 1, x - left)):
            inside = 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]
            total += row_part * column_part * (picture[row, column] if inside else background)
    return total


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_is_read_where_turn_shear_scale_and_shift_say(channels: int) -> None:
    picture = random_picture(0, 9, 12, channels)
    right, down, degrees, scale, shear = 1.3, -2.4, 25.0, 1.2, 15.0
    result = moved(picture, 40, right=right, down=down, degrees=degrees, scale=scale, shear=shear)
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    centre = complex(5.5, 4)
    for row in range(9):
        for column in range(12):
            # With y downwards, multiplying by `turn` rotates clockwise.
            leaning = (complex(column, row) - centre - complex(right, down)) / turn / scale
            # What leans to the right by 15 degrees came from further left, the more the higher it is.
            source = leaning + leaning.imag * math.tan(math.radians(shear)) + centre
            expected = read_bilinearly(picture, source.real, source.imag, 40)
            assert np.abs(result[row, column] - expected).max() <= 0.51


def test_no_motion_changes_nothing() -> None:
    picture = random_picture(1, 7, 5)
    np.testing.assert_array_equal(moved(picture), picture)


def test_a_quarter_turn_is_clockwise() -> None:
    picture = random_picture(2, 8, 8)
    np.testing.assert_array_equal(moved(picture, degrees=90.0), np.rot90(picture, -1))


def test_a_positive_shear_leans_to_the_right() -> None:
    picture = np.zeros((21, 21, 1), np.uint8)
    picture[:, 10] = 255
    rows, columns = np.nonzero(moved(picture, shear=45.0)[..., 0] == 255)
    np.testing.assert_array_equal(rows + columns, np.full(21, 20))


def test_a_shift_by_whole_pixels_brings_in_the_background() -> None:
    picture = random_picture(3, 6, 7)
    expected = np.full_like(picture, 200)
    expected[2:, 3:] = picture[:-2, :-3]
    np.testing.assert_array_equal(moved(picture, 200, right=3, down=2), expected)


def test_what_is_shifted_out_is_background() -> None:
    picture = random_picture(4, 6, 7)
    assert (moved(picture, 9, right=1e6, down=-1e6) == 9).all()


def test_enlarging_shows_the_centre() -> None:
    picture = random_picture(5, 9, 9, 1)
    picture[2:7, 2:7] = 77
    assert (moved(picture, scale=3.0) == 77).all()


def test_the_division_into_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([random_picture(seed, 8, 6) for seed in range(7)])
    drawn = np.random.default_rng(0).uniform(-2, 2, (7, 2))
    maps = affine_matrices(drawn, drawn[:, 0] * 10, 1 + drawn[:, 1] / 10, drawn[:, 1] * 5, (8, 6))
    at_once, in_blocks, alone = images.copy(), images.copy(), images.copy()
    warp(at_once, maps, 0)
    monkeypatch.setattr(module, "BLOCK_PIXELS", 100)
    warp(in_blocks, maps, 0)
    for number in range(7):
        warp(alone[number : number + 1], maps[number : number + 1], 0)
    np.testing.assert_array_equal(in_blocks, at_once)
    np.testing.assert_array_equal(alone, at_once)
    assert (at_once != images).any()
