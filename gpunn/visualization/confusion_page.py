"""Which classes are taken for which, and how many of each are recognised."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gpunn.visualization.mistakes import Examination
from gpunn.visualization.page import Page, file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RIGHT = "#1f6fb4"
_WRONG = "#d1495b"
#: More classes than that are named only where they do worst.
_NAMED = 30
_WORST = 25
_LONGEST_NAME = 24

Counts = np.ndarray[Any, np.dtype[np.int64]]


def confusion_page(examination: Examination, classes: tuple[str, ...], network: str) -> Page:
    """The confusion matrix, in shares of each true class, beside the accuracy of every class.

    With more than 30 classes the matrix has no numbers, and only the worst classes are named.

    Args:
        examination: what was found.
        classes: their names.
        network: its name.
    """
    # Imported here since matplotlib takes longer to import than all of gpunn.
    from matplotlib.figure import Figure

    names = [_shortened(name) for name in classes]
    few = len(classes) <= _NAMED
    side = max(5.0, 0.42 * len(classes)) if few else 9.0
    figure = Figure(figsize=(1.75 * side + 3, side + 1.5), dpi=100, layout="constrained")
    figure.suptitle(
        f"{network}: {examination.wrong:,} of {examination.images:,} images wrong",
        fontsize=14,
        fontweight="bold",
        parse_math=False,
    )
    matrix, accuracy = figure.subplots(1, 2, width_ratios=(1.5, 1))
    _draw_matrix(matrix, examination.confusion, names if few else None)
    _draw_accuracies(accuracy, examination.confusion, names)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return Page(file_name("confusion"), picture.getvalue())


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def accuracies(confusion: Counts) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The share of each class that was recognised, 0 to 1; NaN where a class has no images."""
    with np.errstate(invalid="ignore"):
        shares: np.ndarray[Any, np.dtype[np.float64]] = np.diag(confusion) / confusion.sum(axis=1)
    return shares


def _draw_matrix(axes: Axes, confusion: Counts, names: list[str] | None) -> None:
    of_class = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / of_class
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_title("Confusion: images, shaded by their share of the true class")
    axes.set_xlabel("taken for")
    axes.set_ylabel("true class")
    if names is None:
        return
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 2 else 0, parse_math=False)
    axes.set_yticks(places, names, parse_math=False)
    for row, column in np.argwhere(confusion).tolist():
        ink = "white" if shares[row, column] > 0.5 else _WRONG if row != column else "black"
        axes.text(column, row, f"{confusion[row, column]}", ha="center", va="center", color=ink, fontsize=9)


def _draw_accuracies(axes: Axes, confusion: Counts, names: list[str]) -> None:
    shares, images = accuracies(confusion), confusion.sum(axis=1)
    order = np.arange(len(names)) if len(names) <= _NAMED else np.argsort(shares, kind="stable")[:_WORST]
    axes.set_title("Recognised of each class" if len(order) == len(names) else f"The {_WORST} classes recognised least")
    found = np.nan_to_num(shares[order])
    places = range(len(order))
    axes.barh(places, found, color=_RIGHT)
    for place, number in enumerate(order.tolist()):
        told = f"{shares[number]:.1%} of {images[number]:,}" if images[number] else "no images"
        inside = found[place] > 0.5
        axes.text(
            found[place] + (-0.01 if inside else 0.01),
            place,
            told,
            ha="right" if inside else "left",
            va="center",
            color="white" if inside else "black",
            fontsize=9,
        )
    axes.set_yticks(places, [names[number] for number in order], parse_math=False)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(lambda part, _: f"{100 * part:.4g}%")
    axes.spines[["top", "right"]].set_visible(False)
