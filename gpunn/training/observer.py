"""What a trainer tells while it works; the command line draws a progress bar from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gpunn.training.history import EpochRecord
from gpunn.training.plan import Plan
from gpunn.training.progress import Progress
from gpunn.training.totals import Totals


@dataclass(frozen=True)
class StepReport:
    """Where a run stands.

    Attributes:
        epoch: the running epoch, from 1.
        epochs: of the whole run.
        images_done: of this epoch; those that could not be read are done with.
        images: of every epoch.
        loss: mean over the epoch so far, all objectives weighted and added, penalties left out.
        top1: hits over the epoch so far, 0 to 1; NaN where no objective ranks classes.
        images_per_second: over the epoch so far.
        seconds_left: for the rest of the run, validation not counted before it was measured once.
    """

    epoch: int
    epochs: int
    images_done: int
    images: int
    loss: float
    top1: float
    images_per_second: float
    seconds_left: float

    @classmethod
    def of(cls, plan: Plan, progress: Progress, totals: Totals, images: int, validation_seconds: float) -> StepReport:
        """Of a run.

        Args:
            plan: of the run.
            progress: where it stands.
            totals: of the running epoch.
            images: of every epoch.
            validation_seconds: how long the latest validation took.
        """
        done = totals.images + progress.skipped
        speed = totals.images / progress.seconds if progress.seconds else 0.0
        images_left = images - done + (plan.epochs - progress.epoch - 1) * images
        validations = (plan.epochs - progress.epoch) * validation_seconds
        return cls(
            epoch=progress.epoch + 1,
            epochs=plan.epochs,
            images_done=int(done),
            images=images,
            loss=totals.mean_loss,
            top1=totals.top1_rate,
            images_per_second=speed,
            seconds_left=images_left / speed + validations if speed else float("nan"),
        )


class Observer(Protocol):
    """Who listens."""

    def on_step(self, report: StepReport) -> None:
        """Some steps have been made; called a few times a second at most."""

    def on_epoch(self, record: EpochRecord, *, is_best: bool) -> None:
        """An epoch has ended."""

    def on_note(self, text: str) -> None:
        """Something a person should know."""


class Silence:
    """An observer that does nothing."""

    def on_step(self, report: StepReport) -> None:
        """Nothing."""

    def on_epoch(self, record: EpochRecord, *, is_best: bool) -> None:
        """Nothing."""

    def on_note(self, text: str) -> None:
        """Nothing."""
