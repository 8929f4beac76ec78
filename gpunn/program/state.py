"""What outlives a step: weights, gradients, optimiser state, running statistics and controls, each a flat array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.contract import Array, Device, DType
from gpunn.network import Network
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import Precision
from gpunn.program.controls import CONTROLS, FLOAT32, FLOAT64, TOTALS
from gpunn.program.tables import tables_of
from gpunn.random import Stream, generator

HostArray = np.ndarray[Any, Any]

#: Where the search for the largest loss multiplier that does not overflow begins.
FIRST_LOSS_MULTIPLIER = 2.0**16
#: The controls that a checkpoint of a run with loss scaling keeps, and the name of the array that holds them.
LOSS_SCALING = ("loss_multiplier", "finite_steps")
LOSS_SCALE = "optimizer/loss_scale"


class FlatArray:
    """One flat array on a device, and its named parts."""

    def __init__(self, device: Device, table: SegmentTable, dtype: DType) -> None:
        self.table = table
        self._device = device
        self._dtype = dtype
        self._memory = device.allocate(device.size_of((table.size,), dtype, "plain"))
        self.whole: Array = device.view(self._memory, 0, (table.size,), dtype, "plain")

    def part(self, name: str) -> Array:
        """The named part, as an array of its own shape."""
        segment = self.table[name]
        return self._device.view(
            self._memory, segment.offset * self._dtype.itemsize, segment.shape, self._dtype, "plain"
        )

    def export(self) -> dict[str, HostArray]:
        """A host copy of every part."""
        return {segment.name: self._device.download(self.part(segment.name)) for segment in self.table}

    def load(self, values: Mapping[str, HostArray]) -> None:
        """Set every part."""
        for segment in self.table:
            self._device.upload(self.part(segment.name), values[segment.name])


def state_bytes(network: Network, device: Device, precision: Precision, optimizer: Optimizer) -> int:
    """What NetworkState will allocate for a network in training, controls left out."""
    tables = tables_of(network)
    arenas = 2 + len(optimizer.state)
    narrow = precision.stored != precision.master
    return (
        arenas * device.size_of((tables.weights.size,), precision.master, "plain")
        + narrow * device.size_of((tables.weights.size,), precision.stored, "plain")
        + 2 * device.size_of((tables.statistics.size,), precision.accumulated, "plain")
    )


class NetworkState:
    """The arrays that all programs of one network on one device share.

    Args:
        network: gives the parameters and statistics.
        device: where the arrays lie.
        precision: the master type of weights.
        optimizer: gives the names of its state and the weight decay; None for a network that is not trained.
        objectives: how many losses are added up.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        precision: Precision,
        optimizer: Optimizer | None = None,
        objectives: int = 1,
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.tables = tables_of(network, optimizer.weight_decay if optimizer else 0.0)
        weights, measured = self.tables.weights, self.tables.statistics
        self.parameters = FlatArray(device, weights, precision.master)
        narrow = precision.stored != precision.master
        self.rounded = FlatArray(device, weights, precision.stored) if narrow else None
        trains = optimizer is not None
        self._scales_loss = trains and precision.scales_loss
        self.gradients = FlatArray(device, weights, precision.master) if trains else None
        self.optimizer = {
            name: FlatArray(device, weights, precision.master) for name in (optimizer.state if optimizer else ())
        }
        self.statistics = FlatArray(device, measured, precision.accumulated)
        self.pending = FlatArray(device, measured, precision.accumulated) if trains else None
        self._controls = {
            name: device.view(device.allocate(device.size_of((1,), dtype, "plain")), 0, (1,), dtype, "plain")
            for name, dtype in CONTROLS.items()
        }
        self._kept_totals: list[tuple[Array, Array]] = []
        for position in range(objectives):
            size = device.size_of((TOTALS,), FLOAT64, "plain")
            memory, kept = device.allocate(size), device.allocate(size)
            self._controls[f"totals{position + 1}"] = device.view(memory, 0, (TOTALS,), FLOAT64, "plain")
            # Kernels copy no float64: the same bytes are twice as many numbers of float32.
            halves = (device.view(place, 0, (2 * TOTALS,), FLOAT32, "plain") for place in (memory, kept))
            self._kept_totals.append((next(halves), next(halves)))
        self._constants: dict[str, Array] = {}
        self.set_control("gradient_scale", 1.0)
        self.set_control("loss_scale", 1.0)
        self.set_control("loss_share", 1.0)
        self.set_control("loss_multiplier", FIRST_LOSS_MULTIPLIER if precision.scales_loss else 1.0)
        self.set_control("latched_step", -1)
        self.set_control("apply", 1)

    def initialize(self, seed: int) -> None:
        """Draw the weights, each parameter from numbers of its own; set the running statistics to their start."""
        for index, (name, parameter, _) in enumerate(self.network.parameters()):
            drawn = parameter.initializer.values(
                parameter.shape, parameter.fan_in, generator(seed, Stream.INITIALIZATION, index)
            )
            self.device.upload(self.parameters.part(name), drawn.astype(self.precision.master))
        self.round_parameters()
        start = {
            name: np.full(statistic.shape, statistic.initial, self.precision.accumulated)
            for name, statistic in self.network.statistics()
        }
        self.load_statistics(start)

    def round_parameters(self) -> None:
        """Bring the copy of the weights that products take up to date; an update does so itself."""
        if self.rounded is not None:
            self.device.primitives.copy(self.device, self.rounded.whole, self.parameters.whole, False)

    def load_statistics(self, values: Mapping[str, HostArray]) -> None:
        """Set the running statistics, committed and proposed."""
        for arena in (self.statistics, self.pending):
            if arena is not None:
                arena.load(values)

    def flat(self, name: str) -> Array:
        """A whole flat array by name, or the mean and deviation that images are normalised with."""
        match name.split("/"):
            case ["parameters"]:
                return self.parameters.whole
            case ["rounded"] if self.rounded is not None:
                return self.rounded.whole
            case ["gradients"] if self.gradients is not None:
                return self.gradients.whole
            case ["statistics"]:
                return self.statistics.whole
            case ["pending"] if self.pending is not None:
                return self.pending.whole
            case ["optimizer", kind]:
                return self.optimizer[kind].whole
            case _:
                return self._constants[name]

    def set_constant(self, name: str, values: HostArray) -> None:
        """Put an array on the device under a name, such as "image_mean", before programs that read it are bound."""
        memory = self.device.allocate(self.device.size_of(values.shape, values.dtype, "plain"))
        self._constants[name] = self.device.view(memory, 0, values.shape, values.dtype, "plain")
        self.device.upload(self._constants[name], values)

    def control(self, name: str) -> Array:
        """The device's array of that name."""
        return self._controls[name]

    def set_control(self, name: str, value: float) -> None:
        """Write a control from the host."""
        array = self._controls[name]
        self.device.upload(array, np.full((1,), value, array.dtype))

    def read_control(self, name: str) -> float | int:
        """Read a control; this waits for the device."""
        value: float | int = self.device.download(self._controls[name])[0].item()
        return value

    def overflows_unscaled(self) -> bool:
        """Whether the last update was void, and the loss multiplier cannot become smaller; this waits for the device.

        Where the loss is not scaled, no.
        """
        if not self._scales_loss or self.read_control("loss_multiplier") > 1:
            return False
        return self.read_control("finite_steps") == 0

    def read_totals(self, position: int = 0) -> HostArray:
        """Loss sum, top-1 hits, top-5 hits and images of an objective so far; this waits for the device."""
        return self.device.download(self._controls[f"totals{position + 1}"])

    def write_totals(self, totals: HostArray, position: int = 0) -> None:
        """Set those sums: to zero at the start of an epoch, to a checkpoint's on resume."""
        self.device.upload(self._controls[f"totals{position + 1}"], totals)

    def keep_totals(self) -> None:
        """Copy the sums of every objective on the device; nothing waits."""
        for totals, kept in self._kept_totals:
            self.device.primitives.copy(self.device, kept, totals, False)

    def restore_totals(self) -> None:
        """Set the sums to those that were kept last."""
        for totals, kept in self._kept_totals:
            self.device.primitives.copy(self.device, totals, kept, False)

    def export(self) -> dict[str, HostArray]:
        """Every array of the state by its name in a checkpoint."""
        named = {**self.parameters.export(), **self.statistics.export()}
        for kind, arena in self.optimizer.items():
            named.update({f"optimizer/{kind}/{name}": values for name, values in arena.export().items()})
        if self._scales_loss:
            scaling = [self.read_control(name) for name in LOSS_SCALING]
            named[LOSS_SCALE] = np.array(scaling, self.precision.master)
        return named

    def expected(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array that `load` wants."""
        shapes = {s.name: s.shape for arena in (self.parameters, self.statistics) for s in arena.table}
        for kind, arena in self.optimizer.items():
            shapes.update({f"optimizer/{kind}/{s.name}": s.shape for s in arena.table})
        if self._scales_loss:
            shapes[LOSS_SCALE] = (len(LOSS_SCALING),)
        return shapes

    def load(self, values: Mapping[str, HostArray]) -> None:
        """Set every array from those of a checkpoint, whose names and shapes were compared before."""
        self.parameters.load(values)
        self.round_parameters()
        self.load_statistics(values)
        for kind, arena in self.optimizer.items():
            arena.load({segment.name: values[f"optimizer/{kind}/{segment.name}"] for segment in arena.table})
        if self._scales_loss:
            for name, value in zip(LOSS_SCALING, values[LOSS_SCALE].tolist(), strict=True):
                self.set_control(name, value)
