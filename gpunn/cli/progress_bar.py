"""The progress of a run in a terminal: a bar within the epoch, and a line for each epoch."""

from __future__ import annotations

import sys
from math import isfinite
from types import TracebackType

from tqdm import tqdm

from gpunn.training.history import EpochRecord
from gpunn.training.observer import StepReport


class ProgressBar:
    """An observer of a trainer; without a terminal it prints the lines and no bar."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._interactive = sys.stderr.isatty()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def on_step(self, report: StepReport) -> None:
        """Move the bar."""
        if not self._interactive:
            return
        if self._bar is None:
            self._bar = tqdm(
                total=report.images,
                leave=False,
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}  {unit}",
            )
        bar = self._bar
        bar.set_description_str(f"epoch {report.epoch}/{report.epochs}", refresh=False)
        # tqdm puts a comma before its own postfix; the unit comes last and stands alone.
        bar.unit = (
            f"loss {report.loss:.4f}  top-1 {report.top1:.1%}  {report.images_per_second:,.0f} images/s  "
            f"{duration(report.seconds_left)} left"
        )
        bar.n = report.images_done
        bar.refresh()

    def on_epoch(self, record: EpochRecord, *, is_best: bool) -> None:
        """Print the epoch's line."""
        self._close()
        print(
            f"epoch {record.epoch:3d}  loss {record.train_loss:.4f}  top-1 {record.train_top1:6.2%}  "
            f"validation loss {record.validation_loss:.4f}  top-1 {record.validation_top1:6.2%}  "
            f"{record.images_per_second:6,.0f} images/s"
            f"{f'  {record.skipped_images:,} left out' if record.skipped_images else ''}{'  best' if is_best else ''}",
            flush=True,
        )

    def on_note(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.clear()
        print(text, flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def duration(seconds: float) -> str:
    """1:05 or 2:03:10."""
    if not isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
