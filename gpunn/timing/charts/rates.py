"""Images a second of every device, with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpunn.timing.charts.style import INK, device_color, elide, factor, number
from gpunn.timing.report import TimingReport
from gpunn.timing.stopwatch import Times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = 0.8
#: Between the bars of training and those of inference, in bars.
_GAP = 0.7


def draw_rates(axes: Axes, report: TimingReport, size: float = 9.0, room: float = 1.85) -> None:
    """A bar for each device in training and in inference; whiskers from the slowest sample to the fastest.

    Args:
        axes: where.
        report: of the devices; how many times as fast as the first the others are stands beside their figures, where
            they are worth comparing.
        size: of the text, in points.
        room: width of the axes over the longest bar's and whisker's, for the figures beside them.
    """
    devices, batch = report.devices, report.batch
    compared = [place > 0 and report.are_comparable(devices[0], device) for place, device in enumerate(devices)]
    training = [device.training_images_per_second for device in devices]
    inference = [device.inference_images_per_second for device in devices]
    fastest = [_rate(batch, time.low, 0.0) for device in devices for time in (device.step_ms, device.inference_ms)]
    longest = max([*training, *inference, *fastest, 0.0]) or 1.0
    second = len(devices) + _GAP
    _group(axes, _bars(training, [device.step_ms for device in devices], batch, compared), 0.0, size)
    _group(axes, _bars(inference, [device.inference_ms for device in devices], batch, compared), second, size)
    places = [group + place for group in (0.0, second) for place in range(len(devices))]
    names = [elide(device.device, 18) for device in devices]
    axes.set_yticks(places, names * 2, fontsize=size)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    for text, top in (("training", 0.0), ("inference", second)):
        axes.annotate(
            text,
            (0, top - _BAR / 2),
            (2, 2),
            textcoords="offset points",
            fontsize=size + 0.5,
            fontweight="bold",
            va="bottom",
            color=INK,
        )
    axes.set_ylim(second + len(devices) - 0.4, -1.05)
    axes.set_xlim(0, longest * room)
    axes.set_title("Images a second", loc="left", fontsize=size + 2)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


@dataclass(frozen=True)
class _RateBar:
    """Images a second: of the median sample, the slowest and the fastest; and over the first device's, None where that
    is not told."""

    rate: float
    slowest: float
    fastest: float
    ratio: float | None


def _bars(rates: Sequence[float], times: Sequence[Times], batch: int, compared: Sequence[bool]) -> list[_RateBar]:
    return [
        _RateBar(
            rate,
            _rate(batch, time.high, rate),
            _rate(batch, time.low, rate),
            rate / rates[0] if is_compared and rates[0] > 0 else None,
        )
        for rate, time, is_compared in zip(rates, times, compared, strict=True)
    ]


def _group(axes: Axes, bars: Sequence[_RateBar], top: float, size: float) -> None:
    for place, bar in enumerate(bars):
        rate, slowest, fastest = bar.rate, bar.slowest, bar.fastest
        axes.barh(top + place, rate, _BAR, color=device_color(place))
        axes.errorbar(
            rate,
            top + place,
            xerr=[[max(rate - slowest, 0)], [max(fastest - rate, 0)]],
            ecolor=INK,
            elinewidth=1.1,
            capsize=3,
        )
        times_as_fast = "" if bar.ratio is None else f"   {factor(bar.ratio)}"
        axes.annotate(
            f"{number(rate)}  ({number(slowest)} to {number(fastest)}){times_as_fast}",
            (max(rate, fastest), top + place),
            (6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=size,
            color=INK,
        )


def _rate(batch: int, milliseconds: float, otherwise: float) -> float:
    return 1000 * batch / milliseconds if milliseconds > 0 else otherwise
