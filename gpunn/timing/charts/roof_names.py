"""What the roofs of a roofline mean: operations a second on the flat part, bytes a second on the slope."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, degrees, log10, sin
from typing import TYPE_CHECKING

from gpunn.timing.charts.roofline import Point, box_of, edge, roof
from gpunn.timing.charts.style import device_color, elide, with_prefix
from gpunn.timing.report import Ceilings, DeviceTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_SIZE = 8.5
#: Points between words and their roof.
_DISTANCE = 4
#: Where words may stand: how far along their part of the roof, from its left end, and on which side of it.
_ON_FLAT = ((1.0, 1), (1.0, -1), (0.3, 1), (0.3, -1), (0.6, 1))
_ON_SLOPE = ((0.5, 1), (0.5, -1), (0.8, -1), (0.2, 1), (0.8, 1), (0.2, -1), (0.35, 1), (0.65, -1))


def name_roofs(axes: Axes, devices: Sequence[DeviceTimes], points: Sequence[Point]) -> None:
    """Write the ceilings along the roofs, where neither other words nor points stand; left out where no place is free.

    The figure's layout has to be settled.
    """
    roofs = [(place, device.ceilings) for place, device in enumerate(devices) if device.ceilings is not None]
    taken = [box_of(axes, point) for point in points]
    # From the highest down: what lies below another finds its place below.
    for place, ceilings in sorted(roofs, key=lambda roof: -roof[1].flops):
        _name_flat(axes, ceilings, device_color(place), taken)
    angle = _angle(axes)
    turned = [_turned(box_of(axes, point), angle) for point in points]
    for place, ceilings in sorted(roofs, key=lambda roof: -roof[1].bytes_per_second):
        _name_slope(axes, ceilings, device_color(place), turned)


def _name_flat(axes: Axes, ceilings: Ceilings, color: str, taken: list[Bbox]) -> None:
    left, right = edge(ceilings), axes.get_xlim()[1]
    lines = [line.get_path().transformed(line.get_transform()) for line in axes.lines]
    for along, side in _ON_FLAT:
        text = axes.annotate(
            f"{with_prefix(ceilings.flops, 'FLOP/s')}, {elide(ceilings.product, 26)}",
            (left * (right / left) ** along, ceilings.flops),
            (-4, _DISTANCE * side),
            textcoords="offset points",
            ha="right" if along == 1 else "center",
            va="bottom" if side > 0 else "top",
            fontsize=_SIZE,
            color=color,
            parse_math=False,
        )
        box = text.get_window_extent()
        crossed = any(line.intersects_bbox(box, filled=False) for line in lines)
        if not crossed and not box.count_overlaps(taken):
            taken.append(box)
            return
        text.remove()


def _name_slope(axes: Axes, ceilings: Ceilings, color: str, taken: list[Bbox]) -> None:
    """Along the slope.

    Args:
        axes: where.
        ceilings: whose slope.
        color: of the words.
        taken: boxes of points and of words on other slopes, in axes that are turned with these; one is added.
    """
    from matplotlib.transforms import Affine2D, Bbox

    left, angle = axes.get_xlim()[0], _angle(axes)
    for along, side in _ON_SLOPE:
        x = left * (edge(ceilings) / left) ** along
        text = axes.annotate(
            f"{with_prefix(ceilings.bytes_per_second, 'B/s')}, copy",
            (x, roof(ceilings, x)),
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="bottom" if side > 0 else "top",
            rotation_mode="anchor",
            fontsize=_SIZE,
            color=color,
        )
        flat = text.get_window_extent()
        text.set_rotation(degrees(angle))
        # Away from the slope, at a right angle to it.
        text.xyann = (-sin(angle) * _DISTANCE * side, cos(angle) * _DISTANCE * side)
        u, v = Affine2D().rotate(-angle).transform(axes.transData.transform((x, roof(ceilings, x))))
        height = flat.height + _DISTANCE * axes.figure.dpi / 72
        box = Bbox.from_bounds(u - flat.width / 2, v - (side < 0) * height, flat.width, height)
        if not box.count_overlaps(taken):
            taken.append(box)
            return
        text.remove()


def _angle(axes: Axes) -> float:
    """Of every slope: one decade to the right is one decade up, as the rate grows with the intensity."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    pixels = axes.get_window_extent()
    return atan2(pixels.height / log10(top / bottom), pixels.width / log10(right / left))


def _turned(box: Bbox, angle: float) -> Bbox:
    """A point's box around its centre in axes that are turned by `angle`: the point is as high and wide in them."""
    from matplotlib.transforms import Affine2D, Bbox

    middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    u, v = Affine2D().rotate(-angle).transform(middle)
    return Bbox.from_bounds(u - box.width / 2, v - box.height / 2, box.width, box.height)
