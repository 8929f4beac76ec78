from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpunn.data.augmenting.cropping import random_box, window_box
from gpunn.data.augmenting.draws import Draw, draw
from gpunn.data.preprocessing import Preprocessing

ROWS = draw(0, 0, np.arange(2000, dtype=np.int64))


def crop(row: np.ndarray, area: tuple[float, float], ratio: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    return np.array(random_box(area, ratio, tuple(row[Draw.AREA : Draw.LEFT + 1].tolist()), size))


def test_crops_of_photographs_spread_over_the_recipe() -> None:
    boxes = np.array([crop(row, (0.08, 1.0), (3 / 4, 4 / 3), (300, 400)) for row in ROWS])
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


@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    area=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted),
    draws=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 4),
)
def test_boxes_have_their_area_and_lie_inside(
    height: int, width: int, area: list[float], ratio: list[float], draws: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = random_box((area[0], area[1]), (ratio[0], ratio[1]), draws, (height, width))
    assert 0 <= left < right <= width * (1 + 1e-12)
    assert 0 <= top < bottom <= height * (1 + 1e-12)
    share = (right - left) * (bottom - top) / (height * width)
    assert area[0] * (1 - 1e-9) <= share <= area[1] * (1 + 1e-9)
    found = (right - left) / (bottom - top)
    touches = right - left > width * (1 - 1e-9) or bottom - top > height * (1 - 1e-9)
    assert touches or ratio[0] * (1 - 1e-9) <= found <= ratio[1] * (1 + 1e-9)


def test_windows_take_every_whole_place_equally_often() -> None:
    preprocessing = Preprocessing(6, 5, 3, "crop", 8, (0.5,) * 3, (0.5,) * 3)
    boxes = [window_box(preprocessing, row, (8, 10)) for row in ROWS]
    assert all(box[2] - box[0] == 5 and box[3] - box[1] == 6 for box in boxes)
    # 10 - 5 + 1 columns and 8 - 6 + 1 rows.
    places, counts = np.unique([(box[0], box[1]) for box in boxes], axis=0, return_counts=True)
    assert sorted(map(tuple, places.tolist())) == [(left, top) for left in range(6) for top in range(3)]
    assert counts.min() > 70
    assert counts.max() < 155


def test_windows_have_the_scale_of_evaluation() -> None:
    preprocessing = Preprocessing(224, 224, 3, "crop", 256, (0.5,) * 3, (0.5,) * 3)
    scale = 375 / 256
    boxes = np.array([window_box(preprocessing, row, (375, 500)) for row in ROWS])
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 224 * scale)
    corners = boxes[:, :2] / scale
    np.testing.assert_allclose(corners, np.rint(corners), atol=1e-9)
    # The scaled picture is 341.33 wide and 256 high.
    assert np.rint(corners.min(axis=0)).tolist() == [0, 0]
    assert np.rint(corners.max(axis=0)).tolist() == [117, 32]


@given(height=st.integers(1, 700), width=st.integers(1, 700), seed=st.integers(0, 999))
def test_windows_lie_inside(height: int, width: int, seed: int) -> None:
    preprocessing = Preprocessing(7, 9, 1, "crop", 10, (0.5,), (0.5,))
    left, top, right, bottom = window_box(preprocessing, ROWS[seed], (height, width))
    assert 0 <= left < right <= width * (1 + 1e-12)
    assert 0 <= top < bottom <= height * (1 + 1e-12)


def test_a_stretched_picture_is_its_own_window() -> None:
    preprocessing = Preprocessing(8, 8, 1, "stretch", 8, (0.5,), (0.5,))
    assert window_box(preprocessing, ROWS[0], (10, 20)) == (0.0, 0.0, 20.0, 10.0)
