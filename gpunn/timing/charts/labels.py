"""Names beside points, none upon another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gpunn.timing.charts.roofline import Point, box_of, radius_of
from gpunn.timing.charts.style import device_color, elide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

#: More names than these, over all devices, only confuse.
_MOST = 14
#: Where a name may stand, in points from its own: beside it first, then further away with a line.
_PLACES = tuple(
    (right * distance, up * distance, horizontal, vertical)
    for distance in (5, 16, 30, 48)
    for right, up, horizontal, vertical in (
        (1, 0, "left", "center"),
        (0.7, 0.8, "left", "bottom"),
        (0.7, -0.8, "left", "top"),
        (0, -1, "center", "top"),
        (-0.7, -0.8, "right", "top"),
        (-1, 0, "right", "center"),
        (-0.7, 0.8, "right", "bottom"),
        (0, 1, "center", "bottom"),
    )
)
#: From this distance on a line tells what a name belongs to.
_NEAR = 10
_LONGEST_NAME = 20
_MARGIN = 1.5


def label_points(axes: Axes, points: Sequence[Point]) -> list[Annotation]:
    """Name the points that take most of their device's step, each where it covers nothing.

    The figure's layout has to be settled. A name that finds no free place is left out.
    """
    taken = [text.get_window_extent() for text in axes.texts] + [box_of(axes, point) for point in points]
    roofs = [line.get_path().transformed(line.get_transform()) for line in axes.lines]
    inside = axes.get_window_extent()
    placed: list[Annotation] = []
    for point in _important(points):
        for place in _PLACES:
            text = _annotate(axes, point, place)
            box = text.get_window_extent().padded(_MARGIN)
            if _is_free(box, inside, taken, roofs):
                taken.append(box)
                placed.append(text)
                break
            text.remove()
    return placed


def _important(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda point: -point.share)[:_MOST]


def _annotate(axes: Axes, point: Point, place: tuple[float, float, str, str]) -> Annotation:
    right, up, horizontal, vertical = place
    color = device_color(point.device)
    distance = abs(right) + abs(up)
    reach = 1 + max(0.0, radius_of(point) - 3) / distance
    line = {"arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    return axes.annotate(
        elide(point.name, _LONGEST_NAME),
        (point.intensity, point.rate),
        (right * reach, up * reach),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        fontsize=8.5,
        color=color,
        arrowprops=line if distance > _NEAR else None,
        parse_math=False,
        zorder=4,
    )


def _is_free(box: Bbox, inside: Bbox, taken: Iterable[Bbox], roofs: Iterable[Path]) -> bool:
    within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return (
        within
        and not any(box.overlaps(other) for other in taken)
        and not any(roof.intersects_bbox(box, filled=False) for roof in roofs)
    )
