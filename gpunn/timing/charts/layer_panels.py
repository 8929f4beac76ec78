"""Columns of bars that share the layers as their rows: milliseconds of every device, and how their times compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpunn.timing.charts.rows import Row, speed_ups
from gpunn.timing.charts.style import (
    FAINT,
    INK,
    STRIPE,
    TIMES,
    device_color,
    elide,
    factor,
    logarithmic_ticks,
    marker,
    number,
    tint,
)
from gpunn.timing.report import DeviceTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_NAME, _LONGEST_DEVICE = 24, 16
#: The height of a bar, in rows.
_BAR = 0.74
#: Room to the right of the longest bar for its figure, as a part of it.
_ROOM = 1.24
#: A share of the step that is smaller is not printed.
_LEAST_SHARE = 0.005
_LARGEST_TEXT, _SMALLEST_TEXT = 10.5, 6.5


def draw_names(axes: Axes, rows: Sequence[Row]) -> None:
    """The rows' names beside the first column, and stripes that lead the eye along a row."""
    axes.set_yticks(range(len(rows)), [elide(row.name, _LONGEST_NAME) for row in rows])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
        label.set_fontsize(text_size(rows))


def draw_times(axes: Axes, rows: Sequence[Row], place: int, device: DeviceTimes, shares: bool) -> None:
    """Milliseconds of one device, forward and backward stacked, on a scale of its own.

    Args:
        axes: where.
        rows: the layers.
        place: of the device among those of the rows.
        device: its times.
        shares: print the share of the step beside every figure.
    """
    color = device_color(place)
    cells = [row.cells[place] for row in rows]
    forward = [cell.forward_ms if cell else 0.0 for cell in cells]
    backward = [cell.backward_ms if cell else 0.0 for cell in cells]
    positions = range(len(rows))
    axes.barh(positions, forward, _BAR, color=color, label="forward")
    axes.barh(positions, backward, _BAR, left=forward, color=tint(color), label="backward")
    longest = max((cell.total_ms for cell in cells if cell), default=0.0) or 1.0
    for position, cell in zip(positions, cells, strict=True):
        if cell is None:
            text = "no such layer"
        else:
            share = cell.total_ms / device.step_ms.median
            text = number(cell.total_ms) + (f"  {share:.0%}" if shares and share >= _LEAST_SHARE else "")
        end = cell.total_ms if cell else 0.0
        _figure(axes, text, end, position, text_size(rows) - 1, INK if cell else FAINT)
    axes.set_xlim(0, longest * (_ROOM + 0.08 * shares))
    _title(axes, f"{elide(device.device, _LONGEST_DEVICE)}\n{number(device.step_ms.median)} ms a step", color)
    axes.set_xlabel("ms" if shares else "ms, a scale of its own")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.locator_params(axis="x", nbins=5 if shares else 3)
    _finish(axes, len(rows))


def draw_shares(axes: Axes, rows: Sequence[Row], place: int, device: DeviceTimes) -> None:
    """Which part of a layer's time the device's measured ceilings make unavoidable."""
    told = {layer.name: layer.share_of_ceiling for layer in device.layers if layer.share_of_ceiling is not None}
    for position, row in enumerate(rows):
        share = told.get(row.name)
        if share is not None:
            axes.barh(position, share, _BAR, color=device_color(place))
            _figure(axes, f"{share:.0%}", share, position, text_size(rows) - 1)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xlim(0, max(1.0, *told.values()) * _ROOM)
    _title(axes, "share of\nthe ceiling", INK)
    axes.set_xlabel("floor / time")
    axes.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    _finish(axes, len(rows))


def draw_speed_ups(axes: Axes, rows: Sequence[Row], devices: Sequence[DeviceTimes], places: Sequence[int]) -> None:
    """How many times as fast as the first device the others are, layer by layer, on a logarithmic scale.

    One other device has bars that begin at 1; of several, each has markers. A dashed line is a whole step.

    Args:
        axes: where.
        rows: the layers.
        devices: all of them.
        places: of those that have layers; the first is what the others are held against.
    """
    axes.set_xscale("log")
    first, *others = places
    found: list[float] = []
    for place in others:
        ratios = speed_ups(rows, place, beside=first)
        whole = devices[first].step_ms.median / devices[place].step_ms.median
        told = [(position, ratio) for position, ratio in enumerate(ratios) if ratio is not None]
        found += [whole, *(ratio for _, ratio in told)]
        color = device_color(place)
        axes.axvline(whole, color=color, linewidth=1.3, linestyle=(0, (4, 2)), zorder=2.5)
        if len(others) == 1:
            _bars(axes, told, color, text_size(rows) - 1)
        else:
            heights, values = [position for position, _ in told], [ratio for _, ratio in told]
            axes.plot(values, heights, marker(place), color=color, markersize=6, markeredgecolor="white")
    axes.axvline(1, color=INK, linewidth=1)
    _limits(axes, found, figures=len(others) == 1)
    beside = elide(devices[first].device, _LONGEST_DEVICE)
    if len(others) == 1:
        times = factor(devices[first].step_ms.median / devices[others[0]].step_ms.median)
        title = f"{elide(devices[others[0]].device, _LONGEST_DEVICE)}\n{times} as fast (dashed)"
        _title(axes, title, device_color(others[0]))
    else:
        _title(axes, "speed-up\ndashed: whole steps", INK)
    axes.set_xlabel(f"times as fast as {beside}", parse_math=False)
    _finish(axes, len(rows))


def text_size(rows: Sequence[Row]) -> float:
    """Points that fit a row."""
    return max(_SMALLEST_TEXT, min(_LARGEST_TEXT, 380 / max(len(rows), 1)))


def _title(axes: Axes, text: str, color: str) -> None:
    axes.set_title(text, color=color, fontsize=11, loc="left", parse_math=False)


def _bars(axes: Axes, told: Sequence[tuple[int, float]], color: str, size: float) -> None:
    for position, ratio in told:
        slower = ratio < 1
        # A bar of a logarithmic axis is drawn from 1, where both are as fast.
        axes.barh(
            position,
            ratio - 1,
            _BAR,
            left=1,
            color="white" if slower else color,
            edgecolor=color,
            hatch="////" if slower else None,
            linewidth=0.8,
        )
        # Beside the line at 1 when slower: to the left the names of rows would be in the way.
        _figure(axes, factor(ratio), max(ratio, 1), position, size)


def _figure(axes: Axes, text: str, end: float, position: float, size: float, color: str = INK) -> None:
    """A number to the right of a bar that ends there, readable upon lines."""
    axes.annotate(
        text,
        (end, position),
        (3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=size,
        color=color,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.3},
        zorder=4,
    )


def _limits(axes: Axes, found: Sequence[float], figures: bool) -> None:
    """Numbers from the lowest to the highest, with 1 among them; room for figures; ticks that people know."""
    low, high = min([1.0, *found]), max([1.0, *found])
    span = high / low
    left, right = low / max(1.1, span**0.04), high * max(1.3, span ** (0.3 if figures else 0.06))
    axes.set_xlim(left, right)
    ticks = logarithmic_ticks(left, right)
    axes.set_xticks(ticks, [f"{tick:,.10g}{TIMES}" for tick in ticks])
    axes.minorticks_off()


def _finish(axes: Axes, rows: int) -> None:
    for position in range(0, rows, 2):
        axes.axhspan(position - 0.5, position + 0.5, color=STRIPE, zorder=0, linewidth=0)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3, zorder=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
