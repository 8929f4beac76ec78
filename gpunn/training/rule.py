"""How a learner learns: the update, and what is minimised."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.backend.attributes import Penalty
from gpunn.errors import UsageError
from gpunn.losses import Objective, Reduction
from gpunn.optimizers import Optimizer
from gpunn.program.update import UpdateSpecification


@dataclass(frozen=True)
class Rule:
    """How a learner learns.

    Attributes:
        optimizer: the update.
        smoothing: of the labels, in training only; objectives that are given have their own.
        reduction: "mean" or "sum" over the images of an update.
        clip_norm: the largest gradient norm.
        penalties: on the size of the weights that decay, added to the loss of every update.
        seed: of weights and dropout masks.
        objectives: what is minimised; None takes cross-entropy of softmax of every output with the labels, and the
            scores before it of an output that is a Softmax already.

    Raises:
        UsageError: for a setting that has no meaning.
    """

    optimizer: Optimizer
    smoothing: float = 0.0
    reduction: Reduction = "mean"
    clip_norm: float | None = None
    penalties: tuple[Penalty, ...] = ()
    seed: int = 0
    objectives: tuple[Objective, ...] | None = None

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise UsageError(f"reduction {self.reduction!r} is not known; choose 'mean' or 'sum'")
        if self.objectives is not None and not self.objectives:
            raise UsageError("there is nothing to minimise; give one objective or more, or leave objectives out")
        if self.objectives is not None and self.smoothing:
            raise UsageError(
                f"label smoothing {self.smoothing} is for the objectives that are made without asking; give it to the "
                "loss of an objective, such as SoftmaxCrossEntropy(smoothing=0.1)"
            )

    @property
    def update(self) -> UpdateSpecification:
        """The end of a step."""
        return UpdateSpecification(self.optimizer, self.penalties, self.clip_norm)
