"""Outlines by their areas, which geometry gives in closed form; textures by what they are made of."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from gpunn.data.making.object_classes import MAXIMUM_CLASSES, PALETTES, class_folder, object_classes
from gpunn.data.making.shapes import SHAPES
from gpunn.data.making.textures import TEXTURES
from gpunn.errors import UsageError

STEP = 1 / 200
U, V = (plane.astype(np.float32) for plane in np.meshgrid(*[np.arange(-1.5, 1.5, STEP) + STEP / 2] * 2))


def lens(first: float, second: float, distance: float) -> float:
    """The common area of two circles."""
    a = (distance**2 + first**2 - second**2) / (2 * distance)
    b = distance - a
    half_chord = math.sqrt(first**2 - a**2)
    sector = first**2 * math.acos(a / first) + second**2 * math.acos(b / second)
    return sector - half_chord * distance


AREAS = {
    "disc": math.pi * 0.95**2,
    "triangle": 3 * math.sqrt(3) / 4 * 1.15**2,
    "cross": 2 * 2 * 0.72 - 0.72**2,
    "ring": math.pi * (0.96**2 - 0.48**2),
    "square": 1.64**2,
    "crescent": math.pi * 0.95**2 - lens(0.95, 0.75, 0.45),
    "star": 5 * 1.15 * 0.5 * math.sin(math.pi / 5),
    "bar": 2 * 0.72,
    "halfdisc": math.pi * 0.95**2 / 2,
    "pair": 2 * math.pi * 0.45**2,
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_area_inside(name: str) -> None:
    assert np.count_nonzero(SHAPES[name](U, V) < 0) * STEP**2 == pytest.approx(AREAS[name], rel=5e-3)


@pytest.mark.parametrize("name", list(SHAPES))
def test_distances_grow_as_points_do_near_the_outline(name: str) -> None:
    """An edge is blurred over one pixel; a distance that grew faster or slower would blur it over less or more."""
    distance = SHAPES[name](U, V)
    slope = np.hypot(*np.gradient(distance, STEP))
    assert np.median(slope[np.abs(distance) < 0.05]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", list(TEXTURES))
def test_a_texture_mixes_both_colours(name: str) -> None:
    inside = TEXTURES[name](U, V)[SHAPES["disc"](U, V) < 0]
    if name == "plain":
        assert not inside.any()
        return
    assert inside.min() == pytest.approx(0, abs=0.03)
    assert inside.max() == pytest.approx(1, abs=0.03)
    assert 0.1 < inside.mean() < 0.9


def test_every_class_is_another_combination_and_neighbours_share_nothing() -> None:
    classes = object_classes(MAXIMUM_CLASSES)
    assert len(set(classes)) == MAXIMUM_CLASSES == 10 * 10 * 12
    for first, second in pairwise(classes):
        assert first.shape != second.shape
        assert first.texture != second.texture
        assert first.palette != second.palette
    assert object_classes(7) == classes[:7]
    names = [class_folder(number, of) for number, of in enumerate(classes)]
    assert names == sorted(names)


def test_palettes_differ() -> None:
    colours = {of.palette: of.colours for of in object_classes(MAXIMUM_CLASSES)}
    assert sorted(colours) == sorted(PALETTES)
    flat = [palette.reshape(-1) for palette in colours.values()]
    assert min(np.abs(a - b).max() for n, a in enumerate(flat) for b in flat[:n]) > 20


@pytest.mark.parametrize("count", [0, 1, MAXIMUM_CLASSES + 1])
def test_other_numbers_of_classes_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} classes.*from 2 to 1200"):
        object_classes(count)
