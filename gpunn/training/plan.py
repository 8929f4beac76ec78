"""What a trainer does, besides how its learner learns."""

from __future__ import annotations

from dataclasses import dataclass

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
        workers: threads that load images; None chooses.
        checkpoint_seconds: the longest time between two checkpoints.
    """

    epochs: int
    batch_size: int
    schedule: Schedule
    accumulate: int = 1
    seed: int = 0
    patience: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 600.0
