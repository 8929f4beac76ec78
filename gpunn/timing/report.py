"""What `gpunn time` found: the object that its table, its chart and its JSON are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gpunn.timing.stopwatch import Times


@dataclass(frozen=True)
class Ceilings:
    """What a device reached in the same run.

    Attributes:
        flops: operations a second in a large product of the precision's numbers, two per multiply-add.
        bytes_per_second: read and written in a large copy.
        product: what computed the product, such as "NumPy's BLAS".
    """

    flops: float
    bytes_per_second: float
    product: str


@dataclass(frozen=True)
class LayerTimes:
    """One row of a step; the first is the input, the last two are loss and optimiser.

    Attributes:
        name: of the layer, or "input", "loss", "optimizer".
        kind: such as "Conv2d"; the name again where there is no layer.
        forward_ms: median over the steps; 0 where nothing is computed.
        backward_ms: the same.
        flops: of both directions for the whole batch, as the layer defines them.
        executed_flops: what the algorithm multiplies and adds, padding of tiles included.
        bytes: the least that has to be read and written.
        algorithm: what ran, forward / backward: an algorithm of the CPU, kernels of a GPU.
        share_of_ceiling: the floor that flops and bytes imply, over the time; None where no ceilings were measured.
    """

    name: str
    kind: str
    forward_ms: float
    backward_ms: float
    flops: int
    executed_flops: int
    bytes: int
    algorithm: str
    share_of_ceiling: float | None


@dataclass(frozen=True)
class DeviceTimes:
    """One side of a comparison.

    Attributes:
        device: as it was asked for, such as "cpu" or "cuda:0"; "pytorch:cpu" for PyTorch's.
        name: of the hardware.
        threads: that compute; None where threads mean nothing.
        step_ms: a training step: input, forward, loss, backward, optimiser.
        inference_ms: a forward pass with its input.
        layers: rows that add up to the step; empty where they were not asked for.
    """

    device: str
    name: str
    threads: int | None
    training_images_per_second: float
    inference_images_per_second: float
    step_ms: Times
    inference_ms: Times
    ceilings: Ceilings | None
    layers: tuple[LayerTimes, ...]


@dataclass(frozen=True)
class TimingReport:
    """A network on one or several devices, timed in turn.

    Attributes:
        versions: of what takes part, by name.
    """

    model: str
    batch: int
    precision: str
    devices: tuple[DeviceTimes, ...]
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The same, for json.dumps."""
        return asdict(self)
