"""What a trainer tells while it works; the command line draws a progress bar from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gpunn.training.history import EpochRecord


@dataclass(frozen=True)
class StepReport:
    """Where a run stands.

    Attributes:
        epoch: the running epoch, from 1.
        epochs: of the whole run.
        images_done: of this epoch.
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
