"""What is minimised: a function of an output and its target, one number an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, ClassVar, Literal

from gpunn.errors import UsageError
from gpunn.geometry import Shape
from gpunn.graph import Node, describe_shape

TargetKind = Literal["labels", "values"]
Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class LossCall:
    """The primitive of a loss, without its buffers."""

    primitive: str
    settings: dict[str, Any]


class Loss(ABC):
    """A loss; `target` says whether it is compared with class labels (N,) or with values (N, outputs)."""

    target: ClassVar[TargetKind]
    #: What the contract calls the output and the target of this loss.
    output_argument: ClassVar[str] = "logits"
    target_argument: ClassVar[str]
    #: Whether it counts hits.
    ranks: ClassVar[bool] = False

    @abstractmethod
    def call(self) -> LossCall:
        """The primitive that computes loss and gradient."""

    def check(self, output: Node) -> None:
        """Refuse outputs that are not vectors.

        Raises:
            UsageError: naming the node.
        """
        if len(output.shape) != 1:
            raise UsageError(
                f"the loss needs a vector, got {describe_shape(output.shape)} from '{output.name}': "
                "put a Flatten() or a GlobalMeanPool2d() before it"
            )


def _require_share(smoothing: float) -> None:
    if not 0 <= smoothing < 1:
        raise UsageError(f"label smoothing is {smoothing}; it must be at least 0 and below 1")


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of softmax(scores) with a class label, optionally smoothed (Szegedy et al., 2016, section 7)."""

    smoothing: float = 0.0
    target = "labels"
    target_argument = "labels"
    ranks = True

    def __post_init__(self) -> None:
        _require_share(self.smoothing)

    def call(self) -> LossCall:
        return LossCall("softmax_cross_entropy", {"smoothing": self.smoothing})


@dataclass(frozen=True)
class SoftTargetCrossEntropy(Loss):
    """Cross-entropy of softmax(scores) with target probabilities."""

    smoothing: float = 0.0
    target = "values"
    target_argument = "targets"
    ranks = True

    def __post_init__(self) -> None:
        _require_share(self.smoothing)

    def call(self) -> LossCall:
        return LossCall("softmax_cross_entropy_soft", {"smoothing": self.smoothing})


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of sigmoid(scores) with targets from 0 to 1, summed over the outputs."""

    target = "values"
    target_argument = "targets"

    def call(self) -> LossCall:
        return LossCall("binary_cross_entropy", {})


@dataclass(frozen=True)
class SquaredError(Loss):
    """factor * sum of (y - t)^2 over the outputs; the notes' other form has factor 1/2.

    Raises:
        UsageError: when the factor is not above 0 and finite.
    """

    factor: float = 1.0
    target = "values"
    output_argument = "predictions"
    target_argument = "targets"

    def __post_init__(self) -> None:
        if not 0 < self.factor < inf:
            raise UsageError(f"a squared error with factor {self.factor}; it must be above 0 and finite")

    def call(self) -> LossCall:
        return LossCall("squared_error", {"factor": self.factor})


@dataclass(frozen=True)
class Objective:
    """One term of what is minimised: weight * loss(output, the targets of that name).

    Raises:
        UsageError: when the loss does not fit the output, or the weight is not finite.
    """

    output: Node
    loss: Loss
    weight: float = 1.0
    target: str = "labels"

    def __post_init__(self) -> None:
        self.loss.check(self.output)
        if not isfinite(self.weight):
            raise UsageError(f"the loss of '{self.output.name}' has weight {self.weight}; it must be finite")


def target_shape(objective: Objective, batch: int) -> Shape:
    """The shape of a batch of targets."""
    return (batch,) if objective.loss.target == "labels" else (batch, *objective.output.shape)
