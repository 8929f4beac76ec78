"""How a network is trained: the numbers its authors gave, or that reach their result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; every field has its flag on the command line.

    Attributes:
        epochs: passes over the training set.
        batch_size: images of one step.
        optimizer: the rule; `momentum` belongs to "sgd" alone.
        learning_rate: the peak, which the schedule changes.
        weight_decay: L2 strength; biases and normalisation parameters are spared.
        schedule: a text for gpunn.schedules.
        label_smoothing: the share of the target that is spread over all classes.
        clip_norm: the largest norm of all gradients together; None leaves them as they are.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    label_smoothing: float = 0.0
    clip_norm: float | None = None
