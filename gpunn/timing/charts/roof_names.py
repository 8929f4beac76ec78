"""What the roofs of a roofline mean: operations a second on the flat part, bytes a second on the slope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import atan2, degrees, log10
from typing import TYPE_CHECKING

from gpunn.timing.charts.roofline import edge, roof
from gpunn.timing.charts.style import device_color, elide, with_prefix
from gpunn.timing.report import Ceilings, DeviceTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_SIZE = 8.5
#: Where words may stand: how far along their part of the roof, from its left end, and on which side of it.
_ON_FLAT = ((1.0, 1), (0.3, 1), (0.6, 1), (1.0, -1))
_ON_SLOPE = ((0.5, 1), (0.85, -1), (0.2, -1))


def name_roofs(axes: Axes, devices: Sequence[DeviceTimes]) -> None:
    """Write the ceilings along the roofs, each where no other words stand. The figure's layout has to be settled."""
    for place, device in enumerate(devices):
        if device.ceilings is None:
            continue
        ceilings, color = device.ceilings, device_color(place)
        product = f"{with_prefix(ceilings.flops, 'FLOP/s')}, {elide(ceilings.product, 26)}"
        _place(axes, [_flat(axes, ceilings, product, color, *where) for where in _ON_FLAT])
        copy = f"{with_prefix(ceilings.bytes_per_second, 'B/s')}, copy"
        _place(axes, [_slope(axes, ceilings, copy, color, *where) for where in _ON_SLOPE])


def _flat(axes: Axes, ceilings: Ceilings, text: str, color: str, along: float, side: int) -> Annotation:
    right = axes.get_xlim()[1]
    x = edge(ceilings) * (right / edge(ceilings)) ** along
    return axes.annotate(
        text,
        (x, ceilings.flops),
        (-4, 4 * side),
        textcoords="offset points",
        ha="right" if along == 1 else "center",
        va="bottom" if side > 0 else "top",
        fontsize=_SIZE,
        color=color,
        parse_math=False,
    )


def _slope(axes: Axes, ceilings: Ceilings, text: str, color: str, along: float, side: int) -> Annotation:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x = left * (edge(ceilings) / left) ** along
    pixels = axes.get_window_extent()
    # One decade to the right is one decade up: the rate grows as the intensity does.
    across, up = pixels.width / log10(right / left), pixels.height / log10(top / bottom)
    return axes.annotate(
        text,
        (x, roof(ceilings, x)),
        (0, 4 * side),
        textcoords="offset points",
        ha="center",
        va="bottom" if side > 0 else "top",
        rotation=degrees(atan2(up, across)),
        rotation_mode="anchor",
        fontsize=_SIZE,
        color=color,
    )


def _place(axes: Axes, choices: Sequence[Annotation]) -> None:
    """Keep the first that covers no other words, or else the very first."""
    others = [text.get_window_extent() for text in axes.texts if text not in choices]
    free = [text for text in choices if not text.get_window_extent().count_overlaps(others)]
    _remove(text for text in choices if text is not (free or choices)[0])


def _remove(texts: Iterable[Annotation]) -> None:
    for text in texts:
        text.remove()
