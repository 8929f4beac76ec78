"""What a trainer does, besides how its learner learns."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.errors import UsageError
from gpunn.schedules import Schedule


@dataclass(frozen=True)
class Plan:
    """The course of a training run.

    Attributes:
        epochs: passes over the training images.
        batch_size: images in one pass through the network.
        schedule: the learning rate of every step.
        accumulate: passes to one update.
        seed: of order and augmentation.
        patience: epochs without improvement that end the run; None never does.
        workers: how many read images; None chooses.
        checkpoint_seconds: the longest time between two checkpoints.

    Raises:
        UsageError: when a number has no meaning.
    """

    epochs: int
    batch_size: int
    schedule: Schedule
    accumulate: int = 1
    seed: int = 0
    patience: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "patience", "workers"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more")
        if not self.checkpoint_seconds >= 0:
            raise UsageError(f"checkpoint_seconds is {self.checkpoint_seconds}; it must be 0 (always) or more")

    def batch_sizes(self, images: int) -> tuple[int, int]:
        """The images of a full batch, and of the last one of an epoch."""
        full = min(self.batch_size, images)
        return full, images % full or full

    def passes(self, images: int) -> list[tuple[int, bool]]:
        """Every kind of pass that an epoch has: its images, and whether it adds to the gradients of one before."""
        full, last = self.batch_sizes(images)
        steps = -(-images // full)
        kinds = [(full, False), (last, (steps - 1) % self.accumulate > 0)]
        return [*kinds, (full, True)] if self.accumulate > 1 and steps > 1 else kinds

    def updates(self, images: int) -> int:
        """Updates in an epoch; the last one may have fewer passes than the others."""
        full, _ = self.batch_sizes(images)
        passes = -(-images // full)
        return -(-passes // self.accumulate)
