"""Draws docs/pictures/cpu-training.png from kept results of benchmarks/cpu_training.py.

    python -m benchmarks.cpu_training_chart [--results FILE] [--picture FILE]

The newest file of results by default, and the last result of each network, at two threads.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cpu.results import RESULTS, read
from gpunn.durable_files import replace_file
from gpunn.timing.charts.style import FAINT, INK, TIMES, device_color, tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE = Path(__file__).resolve().parents[1] / "docs/pictures/cpu-training.png"
#: What is drawn, from above: network, batch, its name in the picture.
ROWS = (
    ("vgg16", 16, "VGG-16\nbatch 16"),
    ("vgg16", 8, "VGG-16\nbatch 8"),
    ("vgg11-bn-cifar", 128, "VGG-11-BN\n32x32, batch 128"),
    ("alexnet", 32, "AlexNet\nbatch 32"),
    ("lenet", 128, "LeNet\nbatch 128"),
)
THREADS = 2
KINDS = ("training", "inference")
#: Inches and pixels an inch: 1600 x 900.
_SIZE, _RESOLUTION = (16, 9), 100
_BAR = 0.38


@dataclass(frozen=True)
class Bar:
    """How many times as fast as PyTorch: by the medians, and between which the middle half of the pairs lies.

    Attributes:
        rate: gpunn's images a second.
    """

    factor: float
    low: float
    high: float
    rate: float


def newest_results() -> Path:
    """The file of the last day that has one.

    Raises:
        ValueError: when there is none.
    """
    found = sorted(RESULTS.glob("cpu-training-*.jsonl"))
    if not found:
        raise ValueError("there are no results; make some with python benchmarks/cpu_training.py --all --keep")
    return found[-1]


def chosen(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The last result of each row with the algorithms that gpunn chooses itself, by network and batch."""
    wanted = {(network, batch) for network, batch, _ in ROWS}
    return {
        (result["network"], result["batch"]): result
        for result in results
        if (result["network"], result["batch"]) in wanted
        and result["threads"] == THREADS
        and result.get("algorithm") == "auto"
    }


def bar(result: Mapping[str, Any], kind: str) -> Bar:
    """Of training or inference; a ratio is of times, a factor of speeds."""
    low, high = result[f"{kind}_ratio_quartiles"]
    rate = "gpunn_images_per_second" if kind == "training" else "gpunn_inference_images_per_second"
    return Bar(1 / result[f"{kind}_ratio"], 1 / high, 1 / low, result[rate])


def figure_of(results: Sequence[Mapping[str, Any]]) -> Figure:
    """Two bars a network, and a line where PyTorch stands.

    Raises:
        ValueError: when no result is of a row.
    """
    from matplotlib.figure import Figure

    found = chosen(results)
    rows = [(name, found[network, batch]) for network, batch, name in ROWS if (network, batch) in found]
    if not rows:
        raise ValueError(f"no result is of {', '.join(sorted({network for network, _, _ in ROWS}))}")
    figure = Figure(figsize=_SIZE)
    axes = figure.add_axes((0.15, 0.1, 0.825, 0.71))
    _draw_bars(axes, rows)
    title = f"Training and inference on a CPU with {THREADS} threads: how many times as fast as PyTorch"
    figure.text(0.02, 0.955, title, fontsize=23, fontweight="bold", color=INK, va="center")
    words = "fp32, NumPy beside PyTorch in channels_last, in turn; whiskers hold the middle half of the pairs"
    figure.text(0.02, 0.895, words, fontsize=15, color=FAINT, va="center")
    figure.text(0.02, 0.03, _origin([result for _, result in rows]), fontsize=11.5, color=FAINT, va="center")
    return figure


def _draw_bars(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    places = range(len(rows))
    for offset, kind, color in zip((-_BAR / 2, _BAR / 2), KINDS, (device_color(0), tint(device_color(0))), strict=True):
        bars = [bar(result, kind) for _, result in rows]
        heights = [place + offset for place in places]
        factors = [one.factor for one in bars]
        axes.barh(heights, factors, _BAR * 0.94, color=color, label=kind)
        whiskers = [[max(0, one.factor - one.low) for one in bars], [max(0, one.high - one.factor) for one in bars]]
        axes.errorbar(factors, heights, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1.2, capsize=4)
        for one, height in zip(bars, heights, strict=True):
            axes.annotate(
                f"{one.factor:.2f}{TIMES}",
                (max(one.factor, one.high), height),
                (9, 0),
                textcoords="offset points",
                va="center",
                fontsize=17,
                fontweight="bold",
                color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
                zorder=4,
            )
            axes.annotate(
                f"{one.rate:,.3g} images/s" if one.rate < 1000 else f"{one.rate:,.0f} images/s",
                (0, height),
                (9, 0),
                textcoords="offset points",
                va="center",
                fontsize=13,
                color="white" if kind == "training" else INK,
            )
    axes.axvline(1, color=INK, linewidth=1.6)
    axes.annotate(
        "PyTorch", (1, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", fontsize=15, fontweight="bold", color=INK,
    )  # fmt: skip
    axes.set_yticks(list(places), [name for name, _ in rows], fontsize=17)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.12 * max(bar(result, kind).high for _, result in rows for kind in KINDS))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}{TIMES}")
    axes.tick_params(axis="x", labelsize=13, colors=FAINT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E3E5E8")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=16, handlelength=1, handleheight=1)


def _origin(results: Sequence[Mapping[str, Any]]) -> str:
    """Where the figures come from: of the last result."""
    last = max(results, key=lambda result: result["date"])
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    return f"{last['machine']}, {THREADS} threads of each side on the same cores; {versions}; {last['date'][:10]}"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="of cpu_training.py --keep")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="PNG that is written")
    given = parser.parse_args()
    picture = io.BytesIO()
    try:
        figure = figure_of(read(given.results or newest_results()))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    figure.savefig(picture, format="png", dpi=_RESOLUTION)
    replace_file(given.picture, [picture.getvalue()])


if __name__ == "__main__":
    main()
