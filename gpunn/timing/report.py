"""What `gpunn time` found: the object that its table, its chart and its JSON are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.errors import DataError
from gpunn.timing.stopwatch import Times

#: Samples of one side that lie further apart, slowest over fastest, measured something else as well.
SPREAD = 3


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
class Load:
    """How busy the machine was before it measured: processes that wanted to run, on average over a minute."""

    average: float
    cores: int

    @property
    def warning(self) -> str | None:
        """Why figures are not worth comparing; None where fewer processes than cores wanted to run."""
        if self.average <= self.cores:
            return None
        return (
            f"the machine was busy when measuring began (load average {self.average:.1f} on {self.cores} "
            f"core{'s' * (self.cores != 1)}): these figures are not worth comparing"
        )


@dataclass(frozen=True)
class TimingReport:
    """A network on one or several devices, timed in turn.

    Attributes:
        versions: of what takes part, by name.
        algorithm: of convolutions on gpunn's CPU, as it was asked for.
        load: when measuring began; None where the system does not tell.
    """

    model: str
    batch: int
    precision: str
    devices: tuple[DeviceTimes, ...]
    versions: dict[str, str]
    algorithm: ConvolutionAlgorithm = "auto"
    load: Load | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why figures are not worth comparing; none where nothing speaks against it."""
        found = []
        if self.load is not None and self.load.warning is not None:
            found.append(self.load.warning)
        spread = [
            f"{device.device} lie more than {SPREAD} times apart ({', '.join(wide)})"
            for device in self.devices
            if (wide := _wide(device))
        ]
        if spread:
            found.append(
                f"samples of {', of '.join(spread)}: something else held the machine up, and these figures are not "
                "worth comparing"
            )
        return tuple(found)

    def are_comparable(self, *devices: DeviceTimes) -> bool:
        """Whether a ratio of their times says something of them, and not of the machine's moods."""
        is_busy = self.load is not None and self.load.warning is not None
        return not is_busy and not any(map(_wide, devices))

    def as_json(self) -> dict[str, Any]:
        """The same, for json.dumps, and the warnings."""
        return {**asdict(self), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TimingReport:
        """The inverse of `as_json`.

        Raises:
            DataError: when an entry is missing, or there is one that no report has.
        """
        try:
            given = {name: value for name, value in document.items() if name != "warnings"}
            load = given.get("load")
            given["devices"] = tuple(_device(device) for device in document["devices"])
            given["load"] = None if load is None else Load(**load)
            return cls(**given)
        except (KeyError, TypeError) as error:
            raise DataError(f"this is no report of gpunn time ({error}); write one with gpunn time --json") from error


def _wide(device: DeviceTimes) -> list[str]:
    """What of a side spreads too far."""
    times = {"training": device.step_ms, "inference": device.inference_ms}
    return [
        f"{name} {_short(one.low)} to {_short(one.high)} ms"
        for name, one in times.items()
        if one.high > SPREAD * one.low
    ]


def _short(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


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
