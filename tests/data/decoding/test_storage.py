from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.decoding.storage import Orientation, Storage
from tests.data.decoding.uprighting import UPRIGHT_FROM_STORED
from tests.data.pictures import random_picture


@pytest.mark.parametrize("tag", UPRIGHT_FROM_STORED)
def test_stored_pixels_come_to_lie_upright(tag: int) -> None:
    stored = random_picture(tag, 5, 7)
    upright = UPRIGHT_FROM_STORED[tag](stored)
    orientation = Orientation.by_tag(tag)
    assert orientation.upright_size(5, 7) == upright.shape[:2]
    out = np.zeros_like(upright)
    orientation.stored_view(out)[...] = stored
    np.testing.assert_array_equal(out, upright)


@pytest.mark.parametrize("tag", UPRIGHT_FROM_STORED)
def test_a_region_is_found_where_it_is_stored(tag: int) -> None:
    stored = random_picture(tag, 5, 7)
    upright = UPRIGHT_FROM_STORED[tag](stored)
    height, width, _ = upright.shape
    orientation = Orientation.by_tag(tag)
    left, top, right, bottom = map(int, orientation.stored_box((1, 2, 4, 5), height, width))
    np.testing.assert_array_equal(UPRIGHT_FROM_STORED[tag](stored[top:bottom, left:right]), upright[2:5, 1:4])


@pytest.mark.parametrize("tag", [0, 9, -1, 65535])
def test_an_orientation_that_means_nothing_is_upright(tag: int) -> None:
    assert Orientation.by_tag(tag) == Orientation.by_tag(1) == Orientation()


@pytest.mark.parametrize(
    ("box", "reduction"),
    [
        ((0.0, 0.0, 400.0, 300.0), 4),
        ((0.0, 0.0, 79.9, 300.0), 1),
        ((0.0, 0.0, 80.0, 60.0), 2),
        ((10.5, 20.5, 330.5, 260.5), 8),
        ((0.0, 0.0, 400.0, 59.0), 1),
    ],
)
def test_a_picture_is_decoded_no_larger_than_its_region_needs(
    box: tuple[float, float, float, float], reduction: int
) -> None:
    height, width = (30, 40) if reduction != 4 else (60, 50)
    out = np.empty((height, width, 3), np.uint8)
    drawing = Storage(301, 401, Orientation(), True).drawing(out, box)
    assert drawing.reduction == reduction
    assert drawing.box == tuple(edge / reduction for edge in box)
    assert Storage(301, 401, Orientation(), False).drawing(out, box).reduction == 1


def test_a_turned_region_is_measured_as_it_is_stored() -> None:
    out = np.empty((30, 60, 3), np.uint8)
    drawing = Storage(240, 120, Orientation.by_tag(6), True).drawing(out, (0.0, 0.0, 240.0, 120.0))
    assert drawing.reduction == 4
    assert drawing.out.shape == (60, 30, 3)
    assert drawing.box == (0.0, 0.0, 30.0, 60.0)


def test_what_is_less_than_a_block_is_decoded_as_it_is() -> None:
    out = np.empty((1, 10, 3), np.uint8)
    assert Storage(7, 400, Orientation(), True).drawing(out, (0.0, 0.0, 400.0, 7.0)).reduction == 1
    assert Storage(8, 400, Orientation(), True).drawing(out, (0.0, 0.0, 400.0, 8.0)).reduction == 8


def test_sizes_of_reduced_pictures_are_rounded_up() -> None:
    storage = Storage(301, 401, Orientation(), True)
    assert [storage.reduced_size(reduction) for reduction in (1, 2, 4, 8)] == [
        (301, 401),
        (151, 201),
        (76, 101),
        (38, 51),
    ]


@pytest.mark.parametrize(
    ("box", "rows"),
    [
        ((0.0, 0.0, 40.0, 30.0), 31),
        ((0.0, 0.0, 40.0, 45.0), 47),
        ((0.0, 5.25, 79.9, 50.25), 52),
        ((0.0, 0.0, 160.0, 120.0), 31),
        ((0.0, 256.0, 40.0, 286.0), 287),
        ((0.0, 271.0, 40.0, 301.0), 301),
        ((0.0, 61.0, 320.0, 301.0), 38),
    ],
)
def test_what_lies_below_a_region_is_not_read(box: tuple[float, float, float, float], rows: int) -> None:
    assert Storage(301, 405, Orientation(), True).drawing(np.empty((30, 40, 3), np.uint8), box).rows == rows


def test_all_of_a_tall_picture_is_read() -> None:
    out = np.empty((30, 40, 3), np.uint8)
    assert Storage(303, 401, Orientation(), True).drawing(out, (0.0, 0.0, 40.0, 30.0)).rows == 303
    assert Storage(401, 535, Orientation.by_tag(6), True).drawing(out, (0.0, 0.0, 40.0, 30.0)).rows == 401
