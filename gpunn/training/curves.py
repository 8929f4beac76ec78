"""The learning curves of a run as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from gpunn.durable_files import replace_file, write_failure
from gpunn.training.history import EpochRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAINING = "#1f6fb4"
_VALIDATION = "#d1495b"
_LEARNING_RATE = "#3a7d44"

#: The axis of the learning rate is logarithmic when a quarter of the epochs lie this factor below the highest, as
#: under a schedule of steps; the short tail of a cosine reads better on a linear one.
_LOGARITHMIC_FROM = 20.0

#: From so many epochs on the axis of the accuracy belongs to the later half of them.
_MANY_EPOCHS = 8
#: Accuracies that differ by less than this are not drawn as if they differed by much.
_LEAST_SPAN = 0.0025
#: The height of that axis, and the room beside what must be seen, in the span of the later half.
_HEIGHT, _ROOM = 2.0, 0.1


def draw_curves(records: Sequence[EpochRecord], path: Path, title: str) -> None:
    """Loss, accuracy and learning rate over the epochs, as a PNG of 1500 x 500 pixels.

    Args:
        records: the epochs; with none, empty axes are drawn.
        path: the file to write, replaced in one step.
        title: what the run is about.

    Raises:
        CheckpointError: when the disk refuses.
    """
    # Imported here since matplotlib takes longer to import than all of gpunn.
    # A figure without pyplot draws with Agg, needs no screen and keeps no state of its own.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold", parse_math=False)
    loss, accuracy, learning_rate = figure.subplots(1, 3)
    _draw_loss(loss, records)
    _draw_accuracy(accuracy, records)
    _draw_learning_rate(learning_rate, records)
    for axes in (loss, accuracy, learning_rate):
        _finish(axes, records)
    _make_room_for_late_epochs(accuracy, records)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    try:
        replace_file(path, [picture.getvalue()])
    except OSError as error:
        raise write_failure(path, error) from error


def _draw_loss(axes: Axes, records: Sequence[EpochRecord]) -> None:
    axes.set_title("Loss")
    _line(axes, records, "train_loss", "training", _TRAINING)
    _line(axes, records, "validation_loss", "validation", _VALIDATION)


def _draw_accuracy(axes: Axes, records: Sequence[EpochRecord]) -> None:
    axes.set_title("Accuracy, top 1")
    axes.yaxis.set_major_formatter(lambda part, _: f"{100 * part:.4g}%")
    _line(axes, records, "train_top1", "training", _TRAINING)
    _line(axes, records, "validation_top1", "validation", _VALIDATION)
    validated = [record for record in records if record.validation_top1 is not None]
    if validated:
        best = max(validated, key=lambda record: record.validation_top1 or 0.0)
        top1 = best.validation_top1 or 0.0
        label = f"best: {100 * top1:.2f}%, epoch {best.epoch}"
        axes.plot([best.epoch], [top1], "o", color=_VALIDATION, markersize=9, fillstyle="none", label=label)


def accuracy_limits(records: Sequence[EpochRecord]) -> tuple[float, float] | None:
    """Between which accuracies the later half of the epochs fills half of the height; None where it does anyway.

    Accuracy rises within few epochs by far more than in all that follow, which would lie on one flat line. The highest
    is always between them, and fills more of the height where it is not late.
    """
    if len(records) < _MANY_EPOCHS:
        return None
    values, late = _accuracies(records), _accuracies(records[len(records) // 2 :])
    if not late or 2 * (max(late) - min(late)) >= max(values) - min(values):
        return None
    span = max(max(late) - min(late), _LEAST_SPAN)
    high = max(values) + _ROOM * span
    return max(min(high - _HEIGHT * span, min(late) - _ROOM * span), 0.0), high


def _make_room_for_late_epochs(axes: Axes, records: Sequence[EpochRecord]) -> None:
    limits = accuracy_limits(records)
    if limits is None:
        return
    low, high = limits
    below = [record.epoch for record in records if min(_accuracies([record]), default=low) < low]
    axes.set_ylim(low, high)
    axes.legend(frameon=False)
    if below:
        which = f"epoch {below[0]} goes" if len(below) == 1 else f"{len(below)} epochs go"
        axes.set_xlabel(f"epoch; {which} below this axis, down to {min(_accuracies(records)):.1%}")


def _accuracies(records: Sequence[EpochRecord]) -> list[float]:
    """Of both halves, those that are numbers."""
    both = (value for record in records for value in (record.train_top1, record.validation_top1))
    return [value for value in both if value is not None and isfinite(value)]


def _draw_learning_rate(axes: Axes, records: Sequence[EpochRecord]) -> None:
    axes.set_title("Learning rate")
    _line(axes, records, "learning_rate", "at the epoch's end", _LEARNING_RATE)
    rates = sorted(record.learning_rate for record in records)
    if rates and rates[0] > 0 and rates[-1] > _LOGARITHMIC_FROM * rates[len(rates) // 4]:
        axes.set_yscale("log")


def _line(axes: Axes, records: Sequence[EpochRecord], field: str, label: str, color: str) -> None:
    points = [(record.epoch, getattr(record, field)) for record in records if getattr(record, field) is not None]
    if points:
        epochs, values = zip(*points, strict=True)
        # Many markers hide the line, and one point alone has no line.
        marker = "o" if len(points) <= 30 else ""
        axes.plot(epochs, values, label=label, color=color, linewidth=1.8, marker=marker, markersize=3.5)


def _finish(axes: Axes, records: Sequence[EpochRecord]) -> None:
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if records:
        margin = max(0.5, 0.02 * len(records))
        axes.set_xlim(records[0].epoch - margin, records[-1].epoch + margin)
        axes.legend(frameon=False)
