"""The whole chart: what is told apart by colour, columns of layers at the left, rates and roofline at the right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpunn.drawing import require_drawing
from gpunn.durable_files import describe_write_failure, replace_file
from gpunn.errors import UsageError
from gpunn.timing.charts.labels import label_points
from gpunn.timing.charts.layer_panels import draw_names, draw_shares, draw_speed_ups, draw_times
from gpunn.timing.charts.rates import draw_rates
from gpunn.timing.charts.roof_names import name_roofs
from gpunn.timing.charts.roofline import draw_roofline, points_of
from gpunn.timing.charts.rows import Row, rows_of
from gpunn.timing.charts.style import FAINT, INK, WARNING, device_color, elide, tint
from gpunn.timing.report import DeviceTimes, TimingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

#: Inches and pixels an inch: 1600 x 900.
_SIZE, _RESOLUTION = (16, 9), 100
#: Formats of matplotlib that need LaTeX, or that no program for pictures opens.
_WITHOUT = {"pgf", "raw", "rgba"}
_LONGEST_DEVICE, _LONGEST_WARNING = 70, 200
#: Heights of what stands below the panels: which figures they show, and one warning; parts of the picture.
_FOOT, _LINE = 0.028, 0.024


def chart_format(path: Path) -> str:
    """What the ending of a path says it is to be, such as "png".

    Raises:
        UsageError: when that is no picture; the text lists what is. When matplotlib is missing, too.
    """
    require_drawing("a chart")
    from matplotlib.backend_bases import FigureCanvasBase

    formats = sorted(set(FigureCanvasBase.get_supported_filetypes()) - _WITHOUT)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in formats:
        given = f"ends in {path.suffix!r}" if ending else "has no ending"
        raise UsageError(f"the chart {str(path)!r} {given}; give it one of .{', .'.join(formats)}")
    return ending


def draw_chart(report: TimingReport, path: Path) -> None:
    """Write the chart of a report, as a PNG of 1600 x 900 pixels or what else the path's ending says.

    Raises:
        UsageError: when the ending is no picture's, or the file cannot be written, or matplotlib is missing.
    """
    kind = chart_format(path)
    picture = io.BytesIO()
    figure_of(report).savefig(picture, format=kind, dpi=_RESOLUTION)
    try:
        replace_file(path, [picture.getvalue()])
    except OSError as error:
        raise UsageError(describe_write_failure(path, error, "another file with --plot")) from error


def figure_of(report: TimingReport) -> Figure:
    """The chart as matplotlib's figure, drawn without a screen.

    Every device has a colour. With layers: a column of bars a device, forward and backward stacked, each on a scale of
    its own; from two devices on, a column that compares them; rates and roofline beside. Without layers: rates.
    """
    # Imported here since matplotlib takes longer to import than all of gpunn.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    devices = report.devices
    lines = (len(devices) + 1) // 2
    foot = _FOOT + _LINE * len(report.warnings)
    layout = ConstrainedLayoutEngine(rect=(0.004, foot, 0.992, 0.94 - foot - 0.03 * lines), w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=_SIZE, dpi=_RESOLUTION, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    rows = rows_of(devices)
    _draw_head(figure, report)
    _draw_foot(figure, report, rows.timeless)
    if not rows.shown:
        draw_rates(figure.add_subplot(), report, size=14, room=1.6)
        return figure
    halves = figure.add_gridspec(1, 2, width_ratios=(1.0, 0.78))
    _draw_legend(figure)
    _draw_layers(figure.add_subfigure(halves[0, 0]), report, rows.shown)
    _draw_sides(figure, figure.add_subfigure(halves[0, 1]), report)
    return figure


def _draw_layers(part: SubFigure, report: TimingReport, rows: Sequence[Row]) -> None:
    devices = report.devices
    columns = [place for place, device in enumerate(devices) if device.layers]
    first = devices[columns[0]]
    compared = [place for place in columns[1:] if report.are_comparable(first, devices[place])]
    alone = len(columns) == 1
    shared = alone and any(layer.share_of_ceiling is not None for layer in first.layers)
    widths = [1.0] * len(columns) + [1.2] * bool(compared) + [0.3] * shared
    panels = part.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for panel, place in zip(panels, columns, strict=False):
        draw_times(panel, rows, place, devices[place], shares=alone)
    if compared:
        draw_speed_ups(panels[-1], rows, devices, [columns[0], *compared])
    if shared:
        draw_shares(panels[-1], rows, columns[0], first)
    draw_names(panels[0], rows)
    for panel in panels[1:]:
        panel.set_yticks([])


def _draw_sides(figure: Figure, part: SubFigure, report: TimingReport) -> None:
    devices = report.devices
    if not points_of(devices):
        draw_rates(part.add_subplot(), report, size=11)
        return
    # A bar of the rates is as high as about a twentieth of the picture.
    rates, roofline = part.subplots(2, 1, height_ratios=(0.12 + 0.11 * len(devices), 0.8))
    draw_rates(rates, report)
    points = draw_roofline(roofline, devices)
    figure.draw_without_rendering()
    name_roofs(roofline, devices, points)
    label_points(roofline, points)
    for text in roofline.texts:
        text.set_in_layout(False)


def _draw_head(figure: Figure, report: TimingReport) -> None:
    from matplotlib.patches import Patch

    title = f"{report.model}, batch of {report.batch:,}, {report.precision}"
    if report.algorithm != "auto":
        title += f", {report.algorithm} convolutions on the CPU"
    figure.text(0.008, 0.985, title, fontsize=19, fontweight="bold", va="top", color=INK, parse_math=False)
    legend = figure.legend(
        [Patch(color=device_color(place)) for place in range(len(report.devices))],
        [_describe(device) for device in report.devices],
        loc="upper left",
        bbox_to_anchor=(0.001, 0.95),
        ncols=min(2, len(report.devices)),
        frameon=False,
        fontsize=12,
        handlelength=1.0,
        handleheight=1.0,
    )
    legend.set_in_layout(False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    legend = figure.legend(
        [Patch(color=INK), Patch(color=tint(INK))],
        ["dark: forward", "light: backward"],
        loc="upper right",
        bbox_to_anchor=(0.998, 0.99),
        ncols=2,
        frameon=False,
        fontsize=11,
        handlelength=1.0,
        handleheight=1.0,
    )
    legend.set_in_layout(False)


def _describe(device: DeviceTimes) -> str:
    threads = "" if device.threads is None else f", {device.threads} thread{'s' * (device.threads != 1)}"
    return f"{device.device}: {elide(device.name, _LONGEST_DEVICE)}{threads}"


def _draw_foot(figure: Figure, report: TimingReport, timeless: int) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    text = "rates: medians of samples taken in turn, whiskers from the slowest to the fastest"
    if any(device.layers for device in report.devices):
        text = f"layers: means over the middle half of the steps; {text}"
    if timeless:
        text += f"; left out: {timeless} layer{'s' * (timeless != 1)} without time"
    text = f"{text}. {elide(versions, 150)}"
    figure.text(0.008, 0.008, text, fontsize=8.5, color=FAINT, va="bottom", parse_math=False)
    for number, warning in enumerate(report.warnings):
        words = elide(f"warning: {warning}", _LONGEST_WARNING)
        figure.text(0.008, _FOOT + number * _LINE, words, fontsize=11, color=WARNING, va="bottom", parse_math=False)
