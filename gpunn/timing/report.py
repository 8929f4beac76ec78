"""What `gpunn time` found: the object that its table, its chart and its JSON are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpunn.errors import DataError
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
        forward_ms: mean over the middle half of the steps, by their length; 0 where nothing is computed.
        backward_ms: the same.
        flops: of both directions for the whole batch, as the layer defines them.
        executed_flops: what the algorithm multiplies and adds: more than `flops` where tiles are padded, fewer in
            Winograd's; `flops` again where a library does not tell.
        bytes: the least that has to be read and written.
        algorithm: what ran, forward / backward: an algorithm of the CPU, kernels of a GPU.
        share_of_ceiling: the floor that bytes and flops imply, or executed_flops where they are fewer, call by call,
            over the time; None without ceilings, and of no time.
        both_ms: forward and backward of a step together: median of the steps, lowest and highest.
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
    both_ms: Times | None = None


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
        cores: that the threads were kept on while it was timed, as the system counts them.
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
    cores: tuple[int, ...] = ()


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

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TimingReport:
        """The inverse of `as_json`.

        Raises:
            DataError: when an entry is missing, or there is one that no report has.
        """
        try:
            devices = tuple(_device(device) for device in document["devices"])
            return cls(**{**document, "devices": devices})
        except (KeyError, TypeError) as error:
            raise DataError(f"this is no report of gpunn time ({error}); write one with gpunn time --json") from error


def _device(document: Mapping[str, Any]) -> DeviceTimes:
    ceilings = document["ceilings"]
    parts = {
        "step_ms": Times(**document["step_ms"]),
        "inference_ms": Times(**document["inference_ms"]),
        "ceilings": None if ceilings is None else Ceilings(**ceilings),
        "layers": tuple(map(_layer, document["layers"])),
        "cores": tuple(document["cores"]),
    }
    return DeviceTimes(**{**document, **parts})


def _layer(document: Mapping[str, Any]) -> LayerTimes:
    both = document["both_ms"]
    return LayerTimes(**{**document, "both_ms": None if both is None else Times(**both)})
