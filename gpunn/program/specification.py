"""What a program is asked to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        gradients_of: nodes whose gradient is wanted and kept.
        keep: nodes whose output is kept besides the network's outputs.
    """

    batch: int
    mode: Mode
    precision: Precision
    objectives: tuple[Objective, ...] = ()
    seed: int = 0
    pictures: tuple[int, int] | None = None
    accumulate_gradients: bool = False
    gradients_of: tuple[Node, ...] = ()
    keep: tuple[Node, ...] = ()
