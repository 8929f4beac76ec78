from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from gpunn.data.decoding.colours import luma
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import CheckpointError, DataError, UsageError
from tests.data.decoding.reference import scaled
from tests.data.pictures import random_picture


def stretch(height: int, width: int, channels: int = 3) -> Preprocessing:
    return Preprocessing(height, width, channels, "stretch", max(height, width), (0.5,) * channels, (0.25,) * channels)


def crop(height: int, width: int, resize_to: int) -> Preprocessing:
    return Preprocessing(height, width, 3, "crop", resize_to, (0.5,) * 3, (0.25,) * 3)


def test_a_picture_that_fits_is_left_as_it_is() -> None:
    picture = random_picture(0, 6, 9)
    assert stretch(6, 9).apply(picture) is picture
    square = random_picture(0, 9, 9)
    np.testing.assert_array_equal(crop(9, 9, 9).apply(square), square)


@pytest.mark.parametrize(("height", "width"), [(12, 18), (3, 4), (9, 5), (6, 20), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_stretching_is_antialiased_interpolation_of_the_whole(height: int, width: int, channels: int) -> None:
    picture = random_picture(1, 6, 9, channels)
    expected = scaled(picture, height, width, (0, 0, 9, 6))
    result = stretch(height, width, channels).apply(picture)
    assert result.shape == (height, width, channels)
    assert result.dtype == np.uint8
    assert np.abs(result - expected).max() <= 1.5


@pytest.mark.parametrize(
    ("shape", "box"),
    [((16, 30), (9, 2, 21, 14)), ((30, 16), (2, 9, 14, 21)), ((40, 32), (4, 8, 28, 32)), ((8, 9), (1.5, 1, 7.5, 7))],
)
def test_cropping_takes_the_centre_after_scaling_the_short_side(
    shape: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    picture = random_picture(2, *shape)
    result = crop(12, 12, 16).apply(picture)
    assert np.abs(result - scaled(picture, 12, 12, box)).max() <= 1.5


def test_a_crop_that_need_not_scale_copies_pixels() -> None:
    picture = random_picture(3, 10, 14)
    np.testing.assert_array_equal(crop(6, 8, 10).apply(picture), picture[2:8, 3:11])


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 2)])
def test_pictures_smaller_than_the_crop_are_enlarged(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (10, 20, 30), np.uint8)
    result = crop(7, 5, 9).apply(picture)
    np.testing.assert_array_equal(result, np.broadcast_to(picture[0, 0], (7, 5, 3)))


def test_gray_is_repeated() -> None:
    picture = random_picture(4, 6, 9, 1)
    np.testing.assert_array_equal(stretch(6, 9).apply(picture), np.concatenate([picture] * 3, axis=2))
    assert stretch(4, 4).apply(picture).shape == (4, 4, 3)


def test_colours_become_gray_by_luma() -> None:
    picture = random_picture(5, 6, 9)
    expected = picture.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert luma(picture).shape == (6, 9, 1)
    assert np.abs(luma(picture)[..., 0] - expected).max() <= 0.51
    np.testing.assert_array_equal(stretch(6, 9, 1).apply(picture), luma(picture))
    repeated = np.repeat(random_picture(6, 4, 4, 1), 3, axis=2)
    np.testing.assert_array_equal(luma(repeated)[..., 0], repeated[..., 0])


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    with pytest.raises(DataError, match="a picture must be"):
        stretch(4, 4).apply(picture)


def test_the_manifest_survives_json() -> None:
    original = Preprocessing(224, 200, 3, "crop", 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    manifest = json.loads(json.dumps(original.to_manifest()))
    assert Preprocessing.from_manifest(manifest) == original
    assert manifest["mean"] == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    "change", [{"height": None}, {"height": "tall"}, {"channels": 4}, {"mean": 0.5}, {"std": [1.0]}, {"resize": "bend"}]
)
def test_a_manifest_that_cannot_be_used_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="preprocessing"):
        Preprocessing.from_manifest(stretch(4, 4).to_manifest() | change)
    incomplete = stretch(4, 4).to_manifest()
    del incomplete["width"]
    with pytest.raises(CheckpointError, match="width"):
        Preprocessing.from_manifest(incomplete)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": -1},
        {"channels": 2},
        {"resize": "squeeze"},
        {"resize": "crop", "resize_to": 7},
        {"mean": (0.0,)},
        {"std": (1.0, 1.0, 0.0)},
        {"std": (1.0, 1.0, math.nan)},
    ],
)
def test_values_that_do_not_fit_together_are_refused(change: dict[str, Any]) -> None:
    sound = {"height": 8, "width": 8, "channels": 3, "resize": "stretch", "resize_to": 8}
    with pytest.raises(UsageError):
        Preprocessing(**{**sound, "mean": (0.5,) * 3, "std": (0.25,) * 3, **change})
