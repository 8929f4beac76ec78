"""Layers under the roof of what their device was measured to do (Williams, Waterman and Patterson, 2009)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from gpunn.timing.charts.style import FAINT, INK, device_color, logarithmic_ticks, marker, with_prefix
from gpunn.timing.report import Ceilings, DeviceTimes, LayerTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

#: A point that stands for a whole step would be this large, in square points.
_LARGEST_POINT, _SMALLEST_POINT = 900.0, 18.0


@dataclass(frozen=True)
class Point:
    """A layer's forward and backward passes together.

    Attributes:
        intensity: operations a byte that has to be moved.
        rate: operations a second: as the layer defines them, or as executed where the algorithm needs fewer.
        share: of the step that they take.
    """

    name: str
    device: int
    intensity: float
    rate: float
    share: float


def radius_of(point: Point) -> float:
    """Of its marker, in points of print."""
    return sqrt(_size(point)) / 2


def box_of(axes: Axes, point: Point) -> Bbox:
    """The pixels that its marker covers."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((point.intensity, point.rate))
    radius = radius_of(point) * axes.figure.dpi / 72
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)


def points_of(devices: Sequence[DeviceTimes]) -> list[Point]:
    """Every layer that has operations, bytes and a time; the others have no place on logarithmic axes."""
    return [
        Point(
            layer.name,
            place,
            _needed(layer) / layer.bytes,
            1000 * _needed(layer) / (layer.forward_ms + layer.backward_ms),
            (layer.forward_ms + layer.backward_ms) / device.step_ms.median,
        )
        for place, device in enumerate(devices)
        for layer in device.layers
        if _needed(layer) > 0 and layer.bytes > 0 and layer.forward_ms + layer.backward_ms > 0
    ]


def _needed(layer: LayerTimes) -> int:
    return min(layer.flops, layer.executed_flops)


def roof(ceilings: Ceilings, intensity: float) -> float:
    """The most operations a second that these ceilings allow at so many operations a byte."""
    return min(ceilings.flops, ceilings.bytes_per_second * intensity)


def edge(ceilings: Ceilings) -> float:
    """Operations a byte from which on moving bytes no longer holds a layer up."""
    return ceilings.flops / ceilings.bytes_per_second


def draw_roofline(axes: Axes, devices: Sequence[DeviceTimes]) -> list[Point]:
    """Measured ceilings as roofs, and every layer as a point whose area is its share of the step.

    Args:
        axes: where.
        devices: of which at least one has a layer with operations, bytes and a time.

    Returns:
        The points.
    """
    points = points_of(devices)
    low, high = _limits(points, devices)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    for place, device in enumerate(devices):
        if device.ceilings is not None:
            _draw_roof(axes, device.ceilings, place, low, high)
    for point in points:
        axes.scatter(
            point.intensity,
            point.rate,
            s=_size(point),
            marker=marker(point.device),
            color=device_color(point.device),
            edgecolors="white",
            linewidths=0.8,
            alpha=0.85,
            zorder=3,
        )
    rates = [point.rate for point in points]
    highest = max([*rates, *(device.ceilings.flops for device in devices if device.ceilings is not None)])
    axes.set_ylim(min(rates) / 2.2, highest * 2.2)
    _name_axes(axes)
    return points


def _size(point: Point) -> float:
    return _SMALLEST_POINT + (_LARGEST_POINT - _SMALLEST_POINT) * min(point.share, 1.0)


def _limits(points: Iterable[Point], devices: Iterable[DeviceTimes]) -> tuple[float, float]:
    """Operations a byte, wide enough for all points and for the edge of every roof."""
    edges = [edge(device.ceilings) for device in devices if device.ceilings]
    places = [*(point.intensity for point in points), *edges]
    return min(places) / 5, max(places) * 3


def _draw_roof(axes: Axes, ceilings: Ceilings, place: int, low: float, high: float) -> None:
    corners = (low, edge(ceilings), high)
    rates = [roof(ceilings, corner) for corner in corners]
    axes.plot(corners, rates, color=device_color(place), linewidth=2.2, zorder=2)


def _name_axes(axes: Axes) -> None:
    axes.set_title("Roofline: layers, and what the device was measured to do", loc="left", fontsize=11)
    axes.set_xlabel("operations a byte that has to be moved (FLOP/B)")
    axes.set_ylabel("operations that are needed, a second (FLOP/s)")
    intensities, rates = logarithmic_ticks(*axes.get_xlim()), logarithmic_ticks(*axes.get_ylim())
    axes.set_xticks(intensities, [f"{tick:,.10g}" for tick in intensities])
    axes.set_yticks(rates, [with_prefix(tick, "").strip() for tick in rates])
    axes.grid(alpha=0.25, which="major")
    axes.minorticks_off()
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.annotate(
        "forward and backward together; the area of a point is the layer's share of the step",
        (1, 0),
        (-4, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=FAINT,
    )
    axes.title.set_color(INK)
