"""What is compared."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cpu.networks import NETWORKS
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.timing.contestant import Task


@dataclass(frozen=True)
class Case:
    """One comparison with PyTorch.

    Attributes:
        network: by its name in benchmarks.cpu.networks.
        batch: images of a step.
        threads: of each side.
        algorithm: of gpunn's convolutions.
    """

    network: str
    batch: int
    threads: int
    algorithm: ConvolutionAlgorithm = "auto"

    @property
    def task(self) -> Task:
        """For gpunn.timing: in float32, with the images that the network was designed for."""
        chosen = NETWORKS[self.network]
        return Task(chosen, self.batch, "float32", chosen.image, chosen.classes, self.algorithm)
