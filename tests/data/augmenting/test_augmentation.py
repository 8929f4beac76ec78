from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpunn.data.augmenting.augmentation import DRAWS, Augmentation, describe_augmentation
from gpunn.errors import UsageError
from gpunn.random import Stream
from tests.data.pictures import random_picture

INDICES = np.arange(2000, dtype=np.int64)


def draw_of(augmentation: Augmentation, seed: int = 0) -> np.ndarray:
    return augmentation.draw(seed, 0, INDICES)


def test_the_default_changes_nothing() -> None:
    augmentation = Augmentation()
    images = np.stack([random_picture(seed, 5, 6) for seed in range(4)])
    original = images.copy()
    draws = augmentation.draw(0, 0, INDICES[:4])
    augmentation.move(images, draws)
    np.testing.assert_array_equal(images, original)
    assert not augmentation.mirrored(draws).any()


def test_draws_are_philox_numbers_of_seed_epoch_and_index() -> None:
    draws = Augmentation().draw(11, 5, np.array([7, 123456789], dtype=np.int64))
    for draw, index in zip(draws, (7, 123456789), strict=True):
        philox = np.random.Philox(key=[11, Stream.AUGMENTATION], counter=[0, index, 5, 0])
        raw = np.array([int(number) for number in philox.random_raw(DRAWS)], dtype=object)
        assert draw.tolist() == [(number >> 11) / 2**53 for number in raw]


def test_digits_are_moved_within_the_ranges_of_the_recipe() -> None:
    augmentation = Augmentation.for_digits()
    dot = np.zeros((2000, 29, 29, 1), np.uint8)
    dot[:, 11:18, 11:18] = 255
    augmentation.move(dot, draw_of(augmentation))
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
    assert not augmentation.mirrored(draw_of(augmentation)).any()


def test_rotations_reach_both_sides() -> None:
    augmentation = Augmentation(rotation=30.0)
    bar = np.zeros((2000, 41, 41, 1), np.uint8)
    bar[:, 20, 5:36] = 255
    augmentation.move(bar, draw_of(augmentation))
    place = np.arange(41) - 20.0
    mass = bar[..., 0].astype(np.float64)
    slope = np.einsum("nhw,h,w->n", mass, place, place) / np.einsum("nhw,w->n", mass, place**2)
    degrees = np.rad2deg(np.arctan(slope))
    assert 28 < degrees.max() < 31
    assert -31 < degrees.min() < -28
    assert abs(degrees.mean()) < 1.5


def test_a_share_of_the_pictures_is_mirrored() -> None:
    for probability in (0.0, 0.25, 0.5, 1.0):
        augmentation = Augmentation(mirror=probability)
        assert augmentation.mirrored(draw_of(augmentation)).mean() == pytest.approx(probability, abs=0.04)


def test_crops_of_photographs_spread_over_the_recipe() -> None:
    augmentation = Augmentation.for_photographs()
    boxes = np.array([augmentation.crop_box(draw, 300, 400) for draw in draw_of(augmentation)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area = width * height / (300 * 400)
    assert 0.08 <= area.min() < 0.1
    assert 0.98 < area.max() <= 1.0000001
    assert area.mean() == pytest.approx(0.54, abs=0.02)
    small = area < 0.5
    ratio = (width / height)[small]
    assert 0.75 - 1e-9 <= ratio.min() < 0.77
    assert 1.31 < ratio.max() <= 4 / 3 + 1e-9
    assert np.log(ratio).mean() == pytest.approx(0.0, abs=0.02)
    assert augmentation.mirrored(draw_of(augmentation)).mean() == pytest.approx(0.5, abs=0.04)


@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    area=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted),
    seed=st.integers(0, 2**63 - 1),
)
def test_crops_have_their_area_and_lie_inside(
    height: int, width: int, area: list[float], ratio: list[float], seed: int
) -> None:
    augmentation = Augmentation(crop_area=(area[0], area[1]), crop_ratio=(ratio[0], ratio[1]))
    left, top, right, bottom = augmentation.crop_box(augmentation.draw(seed, 0, INDICES[:1])[0], height, width)
    assert 0 <= left < right <= width * (1 + 1e-12)
    assert 0 <= top < bottom <= height * (1 + 1e-12)
    share = (right - left) * (bottom - top) / (height * width)
    assert area[0] * (1 - 1e-9) <= share <= area[1] * (1 + 1e-9)
    found = (right - left) / (bottom - top)
    touches = right - left > width * (1 - 1e-9) or bottom - top > height * (1 - 1e-9)
    assert touches or ratio[0] * (1 - 1e-9) <= found <= ratio[1] * (1 + 1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"shift": -0.1},
        {"shift": 1.5},
        {"rotation": 200.0},
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 0.8)},
        {"mirror": 1.1},
        {"mirror": float("nan")},
        {"crop_area": (0.0, 1.0)},
        {"crop_area": (0.5, 1.5)},
        {"crop_ratio": (2.0, 1.0)},
        {"background": 256},
    ],
)
def test_ranges_outside_their_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"augmentation: {next(iter(change))} cannot be"):
        Augmentation(**change)


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        (None, "none"),
        (Augmentation(), "none"),
        (Augmentation.for_photographs(), "random crops of 8% to 100% of the area, 50% mirrored"),
        (
            Augmentation.for_digits(),
            "shifts up to 10%, rotations up to 15 degrees, slants up to 20 degrees, scalings from 0.8 to 1.2",
        ),
    ],
)
def test_an_augmentation_is_told_in_words(augmentation: Augmentation | None, words: str) -> None:
    assert describe_augmentation(augmentation) == words
