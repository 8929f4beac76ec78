"""Sizes against counting by hand: every output place is tried out."""

from __future__ import annotations

from math import ceil

import pytest

from gpunn.errors import UsageError
from gpunn.geometry import (
    Conv2dGeometry,
    Padding,
    PaddingRule,
    Pair,
    Pool2dGeometry,
    ReceptiveField,
    pair,
    resolve_padding,
)

ONE = Pair(1, 1)


def places(size: int, before: int, after: int, window: int, stride: int) -> int:
    """How many windows lie in a padded line, counted."""
    return sum(start + window <= size + before + after for start in range(0, size + before + after, stride))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_gives_size_over_stride_with_the_odd_pixel_at_the_end(
    size: int, window: int, stride: int, dilation: int
) -> None:
    sides = resolve_padding("same", Pair(size, size), pair(window), pair(stride), pair(dilation))
    assert 0 <= sides.bottom - sides.top <= 1
    assert 0 <= sides.right - sides.left <= 1
    geometry = Conv2dGeometry(1, size, size, 1, 1, window, window, pair(stride), sides, pair(dilation))
    assert geometry.P == geometry.Q == ceil(size / stride)
    assert places(size, sides.top, sides.bottom, dilation * (window - 1) + 1, stride) == geometry.P


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", (0, 0, 0, 0)),
        ("full", (4, 4, 1, 1)),
        (3, (3, 3, 3, 3)),
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ("same", (2, 2, 0, 1)),
    ],
)
def test_padding_rules(rule: PaddingRule, expected: tuple[int, int, int, int]) -> None:
    assert resolve_padding(rule, Pair(9, 9), Pair(3, 2), ONE, Pair(2, 1)) == expected


def test_same_with_stride_2_on_an_even_image_pads_at_the_end_only() -> None:
    assert resolve_padding("same", Pair(8, 8), Pair(3, 3), Pair(2, 2), ONE) == (0, 1, 0, 1)
    assert resolve_padding("same", Pair(8, 8), Pair(1, 1), Pair(3, 3), ONE) == (0, 0, 0, 0)


def test_the_notes_floor_the_size() -> None:
    """(32 - 5 + 2 * 2) / 2 + 1 is 16.5, and the worked network has 16."""
    assert Conv2dGeometry(1, 32, 32, 8, 16, 5, 5, Pair(2, 2), Padding(2, 2, 2, 2)).P == 16


def test_shapes_and_operations_of_a_convolution() -> None:
    geometry = Conv2dGeometry(2, 7, 9, 6, 4, 3, 2, Pair(2, 1), Padding(1, 0, 0, 0), Pair(1, 3), 2)
    assert geometry.output_shape == (2, 3, 6, 4)
    assert geometry.filter_shape == (3, 2, 3, 4)
    assert geometry.flops == sum(2 for _ in range(2 * 3 * 6 * 4) for _ in range(3 * 2 * 3))


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 2), (3, 2), (2, 3), (3, 5)])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_ceil_mode_adds_windows_that_start_within_the_image(
    size: int, window: int, stride: int, before: int, after: int
) -> None:
    if max(before, after) >= window or size + before + after < window:
        return
    sides = Padding(before, after, before, after)
    floor = Pool2dGeometry(1, size, size, 1, window, window, pair(stride), sides)
    assert floor.P == floor.Q == places(size, before, after, window, stride)
    up = Pool2dGeometry(1, size, size, 1, window, window, pair(stride), sides, ceil_mode=True)
    # A further window needs a pixel or leading padding under its first row, and something that the others missed.
    missed = (floor.P - 1) * stride + window < size + before + after
    starts_inside = floor.P * stride < size + before
    assert floor.P + (missed and starts_inside) == up.P


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"stride": Pair(0, 1)}, "stride is 0; it must be 1 or more"),
        ({"dilation": Pair(1, -2)}, "dilation is -2"),
        ({"groups": 0}, "groups is 0"),
        ({"K": 0}, "K is 0"),
        ({"N": -1}, "N is -1"),
        ({"padding": Padding(0, -1, 0, 0)}, "padding (0, -1, 0, 0) is negative"),
        ({"groups": 3}, "3 groups do not divide 4 input channels and 6 filters"),
        ({"R": 9}, "a filter of 9x3 with dilation (1, 1) is larger than the padded 8x8 image"),
        ({"dilation": Pair(1, 4)}, "dilation (1, 4) is larger"),
        ({"N": 2**24}, "the input of shape (16777216, 8, 8, 4) has 4294967296 elements"),
        ({"N": 2**22, "K": 20}, "the output of shape (4194304, 6, 6, 20) has"),
    ],
)
def test_impossible_convolutions_are_refused(changes: dict[str, object], text: str) -> None:
    sizes: dict[str, object] = {"N": 1, "H": 8, "W": 8, "C": 4, "K": 6, "R": 3, "S": 3}
    with pytest.raises(UsageError) as error:
        Conv2dGeometry(**{**sizes, **changes})  # type: ignore[arg-type]
    assert text in str(error.value)


def test_the_largest_array_has_just_less_than_2_to_the_31_elements() -> None:
    Conv2dGeometry(1, 2**15, 2**16 - 1, 1, 1, 1, 1)
    with pytest.raises(UsageError, match="2147483648 elements; one array holds at most 2147483647: use a smaller"):
        Conv2dGeometry(1, 2**15, 2**16, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"stride": Pair(1, 0)}, "stride is 0"),
        ({"R": 0}, "R is 0"),
        ({"padding": Padding(0, 0, -1, 0)}, "is negative"),
        ({"padding": Padding(0, 2, 0, 0)}, "as large as the 2x2 window"),
        ({"S": 9}, "a window of 2x9 does not fit an image of 8x8"),
        ({"N": 2**26}, "has 4294967296 elements"),
    ],
)
def test_impossible_poolings_are_refused(changes: dict[str, object], text: str) -> None:
    sizes: dict[str, object] = {"N": 1, "H": 8, "W": 8, "C": 1, "R": 2, "S": 2}
    with pytest.raises(UsageError) as error:
        Pool2dGeometry(**{**sizes, **changes})  # type: ignore[arg-type]
    assert text in str(error.value)


@pytest.mark.parametrize("rule", [-1, (0, 0, 0, -2)])
def test_negative_padding_is_refused(rule: PaddingRule) -> None:
    with pytest.raises(UsageError, match="is negative; each side must be 0 or more"):
        resolve_padding(rule, ONE, ONE, ONE, ONE)


@pytest.mark.parametrize("rule", ["valid", 1.5, (1, 2)])
def test_unknown_padding_is_refused_with_the_rules_there_are(rule: object) -> None:
    with pytest.raises(UsageError, match=r"is not known; use 'none', 'same', 'full', a number"):
        resolve_padding(rule, ONE, ONE, ONE, ONE)  # type: ignore[arg-type]


def test_receptive_field_is_the_formula_of_the_notes() -> None:
    """r = sum over layers of (k_l - 1) * product of the strides before, + 1."""
    layers = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    field = ReceptiveField()
    for window, stride in layers:
        field = field.through(window, stride)
    total, jump = 1, 1
    for window, stride in layers:
        total += (window - 1) * jump
        jump *= stride
    assert (field.size, field.jump) == (total, jump) == (195, 32)
