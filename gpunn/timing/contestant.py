"""What takes part in a comparison: one network on one device, computed by one library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.geometry import Shape
from gpunn.models.definition import Model
from gpunn.network import Network
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import Subject

#: Of the pictures and labels.
SEED = 0


@dataclass(frozen=True)
class Task:
    """What every contestant computes.

    Attributes:
        model: gives the network and the recipe with which it learns.
        batch: images of a step.
        precision: by its name in gpunn.precision.
        image: height, width and channels of a picture.
        classes: that are told apart.
        algorithm: of convolutions on gpunn's CPU.
    """

    model: Model
    batch: int
    precision: str
    image: Shape
    classes: int
    algorithm: ConvolutionAlgorithm = "auto"

    def network(self) -> Network:
        """A network of its own for each contestant."""
        return self.model.build(self.image, self.classes)

    def pictures(self) -> np.ndarray[Any, Any]:
        """uint8 (N, H, W, C), random: zeros would take less power, and so less time."""
        return np.random.default_rng(SEED).integers(0, 256, (self.batch, *self.image), dtype=np.uint8)

    def labels(self) -> np.ndarray[Any, Any]:
        """int32 (N)."""
        return np.random.default_rng(SEED).integers(0, self.classes, self.batch).astype(np.int32)


class Contestant(Protocol):
    """One side of a comparison, ready to run; `gpunn.timing.measure` takes all sides in turn.

    PyTorch's is made by `pytorch_contestant(task, device, threads)` of gpunn.timing.pytorch, once for each device that
    it shares with gpunn: "cpu", "cuda:0".
    """

    @property
    def device(self) -> str:
        """What it is called, such as "cpu", "cuda:0" or "pytorch:cpu"; no two are called the same."""

    @property
    def name(self) -> str:
        """Of the hardware."""

    @property
    def threads(self) -> int | None:
        """That compute; None where threads mean nothing."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what takes part, by name."""

    @property
    def training(self) -> Subject:
        """A step: pictures from the host's memory, forward, loss, backward, update."""

    @property
    def inference(self) -> Subject:
        """A forward pass, pictures from the host's memory."""

    def loss(self) -> float:
        """Mean loss of the pictures with the weights as they are, in evaluation mode."""

    def sample_layers(self) -> None:
        """Run one training step call by call, and keep what each took; nothing where that is not possible."""

    def layers(self, ceilings: Ceilings | None) -> tuple[LayerTimes, ...]:
        """Rows of the samples so far, that add up to a step; empty without samples.

        Args:
            ceilings: that shares are of; None leaves them out.
        """

    def ceilings(self) -> Ceilings | None:
        """What the device reaches now, in one measurement of a fraction of a second, taken once a round; None where
        nobody knows how."""

    def close(self) -> None:
        """Give back threads and memory."""
