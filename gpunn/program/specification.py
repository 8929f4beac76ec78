"""What a program is asked to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from gpunn.errors import UsageError
from gpunn.geometry import is_whole
from gpunn.graph import Node
from gpunn.losses import Objective
from gpunn.precision import Precision

Mode = Literal["train", "evaluate"]


@dataclass(frozen=True)
class Specification:
    """What a program is fixed to.

    Attributes:
        objectives: the terms of the loss; empty for a program that only predicts.
        batch: images at a time.
        mode: "train" has a backward half, and batch statistics where layers use them.
        precision: the number types.
        seed: of the dropout masks.
        pictures: (H0, W0) of the uint8 pictures that are cropped, mirrored and normalised; None when the input is
            given as numbers.
        accumulate_gradients: add to the gradients of the micro-batch before.
        gradients_of: nodes whose gradient is wanted and kept; in a precision that scales the loss, as many times as
            large as the control loss_multiplier says.
        gradients_given: nodes whose gradient the host writes before every run, into "grad NAME", besides what losses
            add to it: with ones at a score, and no objective, the other gradients are those of that score itself.
        keep: nodes whose output is kept besides the network's outputs.

    Raises:
        UsageError: when the batch is not a whole number of 1 or more, or the mode is not known.
    """

    batch: int
    mode: Mode
    precision: Precision
    objectives: tuple[Objective, ...] = ()
    seed: int = 0
    pictures: tuple[int, int] | None = None
    accumulate_gradients: bool = False
    gradients_of: tuple[Node, ...] = ()
    gradients_given: tuple[Node, ...] = ()
    keep: tuple[Node, ...] = ()

    def __post_init__(self) -> None:
        if not (is_whole(self.batch) and self.batch >= 1):
            raise UsageError(f"a program for batches of {self.batch} images; it needs a whole number of 1 or more")
        if self.mode not in get_args(Mode):
            raise UsageError(f"a program in mode {self.mode!r}; choose {' or '.join(map(repr, get_args(Mode)))}")
