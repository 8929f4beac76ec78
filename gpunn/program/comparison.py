"""A training step on two devices, call by call: each call gets the same numbers on both, so that errors do not add up.

The first device is the reference. Before a call, its inputs there are rounded to what the second device stores and
given to both; after it, the results are compared with a bound on what rounding may do:

    |error| <= unit of the result * |result| + factor * unit of the products * sum of |a| |b|

for the products of convolutions and fully connected layers, where the sum is found by the same call on absolute values
(Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); for every other call the largest |result|
times the root of the number of terms stands for it. A device may round once more before an activation that it does not
compute in the same kernel. Integers have to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan, sqrt
from typing import Any

import ml_dtypes
import numpy as np

from gpunn.backend.attributes import LINEAR
from gpunn.backend.contract import Device, DType
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.network import Network
from gpunn.optimizers import Optimizer, Sgd
from gpunn.precision import Precision, precision
from gpunn.program.call import Argument, Buffer, Call, buffers_of
from gpunn.program.program import Binding, Program, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import UpdateSpecification, plan_update
from gpunn.random import Stream, generator

HostArray = np.ndarray[Any, Any]

#: Calls whose results are sums of products of two of their inputs.
PRODUCTS = ("convolution2d", "locally_connected2d", "linear")
#: Roundings of one sum, as a multiple of the unit: sums over blocks and trees have few in a row.
SUM_FACTOR = 16.0
#: The same for functions that are not sums, such as exponentials.
FUNCTION_FACTOR = 64.0


@dataclass(frozen=True)
class Comparison:
    """One result of one call.

    Attributes:
        node: the layer or loss that the call belongs to.
        result: the name of the array.
        error: the largest difference.
        share: the largest difference as a share of its bound; above 1 is too much.
    """

    node: str
    phase: str
    primitive: str
    result: str
    error: float
    share: float


class Side:
    """One device with a network's step on it.

    Args:
        network: what to compute.
        device: where.
        number_types: in which number types.
        specification: of the program; its precision is replaced.
        optimizer: of the update.
        seed: of the weights.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        number_types: Precision,
        specification: Specification,
        optimizer: Optimizer,
        seed: int,
    ) -> None:
        self.device = device
        self.state = NetworkState(network, device, number_types, optimizer, len(specification.objectives))
        self.state.initialize(seed)
        plan = plan_program(network, device, replace(specification, precision=number_types))
        self.program: Program = share_memory([plan], self.state)[0]
        update = plan_update(self.state.tables, number_types, UpdateSpecification(optimizer))
        self.calls: tuple[Call, ...] = (*plan.calls, *update)

    @property
    def binding(self) -> Binding:
        """From buffers to arrays, those of the update included."""
        return self.program.binding

    def read(self, buffer: Buffer) -> HostArray:
        """A host copy."""
        return self.device.download(self.binding.array(buffer))

    def write(self, buffer: Buffer, values: HostArray) -> None:
        """Set an array, rounded to its type."""
        with np.errstate(all="ignore"):
            self.device.upload(self.binding.array(buffer), values.astype(buffer.dtype))

    def run(self, call: Call) -> None:
        """Carry out one call."""
        self.binding.step(call)()


def compare_devices(
    network: Network, reference: Device, tested: Device, number_types: Precision, batch: int, seed: int
) -> Iterator[Comparison]:
    """A training step with SGD on random images and labels: see `compare`.

    Args:
        network: what to compute; every output gets softmax and cross-entropy.
        reference: the device that is right.
        tested: the device that is compared with it.
        number_types: of the tested device.
        batch: images.
        seed: of weights, images and labels.
    """
    objectives = tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs)
    specification = Specification(batch, "train", number_types, objectives, seed=seed)
    optimizer = Sgd(momentum=0.9, weight_decay=5e-4)
    precisions = (reference_precision(reference, number_types), number_types)
    sides = [
        Side(network, device, types, specification, optimizer, seed)
        for device, types in zip((reference, tested), precisions, strict=True)
    ]
    for side in sides:
        for name, value in (("loss_scale", 1 / batch), ("loss_share", 1 / batch), ("learning_rate", 0.01)):
            side.state.set_control(name, value)
    draw = generator(seed, Stream.INITIALIZATION, 2**32)
    labels = draw.integers(0, min(objective.output.shape[0] for objective in objectives), batch)
    inputs = {network.image.name: draw.standard_normal((batch, *network.image.shape)), "labels": labels}
    yield from compare(sides[0], sides[1], inputs)


def reference_precision(device: Device, tested: Precision) -> Precision:
    """float64 where the reference device computes it, but with the same calls as the tested precision."""
    if "float64" not in device.precisions:
        return tested
    return replace(precision("float64"), scales_loss=tested.scales_loss)


def compare(reference: Side, tested: Side, inputs: Mapping[str, HostArray]) -> Iterator[Comparison]:
    """Every result of every call of one training step.

    Args:
        reference: what is right.
        tested: what is compared with it.
        inputs: of the program, by the names of its buffers.
    """
    for side in (reference, tested):
        for buffer in side.program.inputs:
            side.write(buffer, inputs[buffer.name])
    for right, call in _pairs(reference.calls, tested.calls):
        if right is None:
            tested.run(call)
        else:
            yield from _compare_call(reference, right, tested, call)


def _pairs(right: Sequence[Call], tested: Sequence[Call]) -> Iterator[tuple[Call | None, Call]]:
    """Calls that belong together. A conversion between number types has no partner where there is but one.

    Raises:
        ValueError: when a call of the reference finds no partner: what follows it would be compared with nothing.
    """
    waiting = iter(right)
    partner = next(waiting, None)
    for call in tested:
        if partner is not None and (partner.primitive, partner.node) == (call.primitive, call.node):
            yield partner, call
            partner = next(waiting, None)
        else:
            yield None, call
    if partner is not None:
        raise ValueError(f"{partner.primitive} of '{partner.node}' is a call of the reference device only")


def _compare_call(reference: Side, right: Call, tested: Side, call: Call) -> Iterator[Comparison]:
    pairs = [*_matching(right.reads, call.reads), *_matching(right.writes, call.writes)]
    for mine, its in pairs:
        if mine.kind == "workspace":
            continue
        with np.errstate(all="ignore"):
            shared = reference.read(mine).astype(its.dtype)
        tested.write(its, shared)
        reference.write(mine, shared)
    magnitudes = _sums_of_magnitudes(reference, right) if call.primitive.startswith(PRODUCTS) else {}
    reference.run(right)
    tested.run(call)
    unit = _unit_of_products(tested, call)
    for mine, its in _matching(right.writes, call.writes):
        expected, found = reference.read(mine), tested.read(its)
        bound = _bound(expected, its.dtype, unit, magnitudes.get(mine), _terms(call, its))
        if bound is not None and _rounds_before_activation(call):
            bound += _unit(its.dtype) * magnitudes.get(mine, np.abs(expected).max(initial=1.0))
        error, share = _largest(found, expected, bound)
        yield Comparison(call.node, call.phase, call.primitive, its.name, error, share)


def _matching(right: Mapping[str, Argument], tested: Mapping[str, Argument]) -> Iterator[tuple[Buffer, Buffer]]:
    """Buffers of the same arguments; one that only one side has is left out."""
    for name, argument in tested.items():
        partner = right.get(name)
        if partner is not None and argument is not None:
            yield from zip(buffers_of({name: partner}), buffers_of({name: argument}), strict=True)


def _sums_of_magnitudes(reference: Side, call: Call) -> dict[Buffer, HostArray]:
    """What the call makes of absolute values, without an activation: sum |a| |b|; all arrays are put back."""
    before = {buffer: reference.read(buffer) for buffer in call.buffers if buffer.kind != "workspace"}
    for buffer in buffers_of(call.reads):
        if buffer.kind != "workspace":
            reference.write(buffer, np.abs(before[buffer]))
    for buffer in buffers_of(call.writes):
        reference.write(buffer, np.abs(before[buffer]))
    plain = {"activation": LINEAR} if "activation" in call.settings else {}
    reads = {name: None if name == "saved" else argument for name, argument in call.reads.items()}
    reference.run(replace(call, reads=reads, settings={**call.settings, **plain}))
    sums = {buffer: reference.read(buffer) for buffer in buffers_of(call.writes)}
    for buffer, values in before.items():
        reference.write(buffer, values)
    return sums


def _limits(dtype: DType) -> Any:
    """As numpy.finfo, for bfloat16 too."""
    finfo: Any = ml_dtypes.finfo
    return finfo(dtype)


def _unit(dtype: DType) -> float:
    """Half the distance from 1 to the next larger number."""
    return float(_limits(dtype).eps) / 2


def _unit_of_products(side: Side, call: Call) -> float:
    """What rounding a factor and adding a product costs, relative to it; tf32 has 10 bits of mantissa."""
    accumulated = _unit(side.state.precision.accumulated)
    arithmetic = call.settings.get("arithmetic")
    return 2.0**-10 / SUM_FACTOR + accumulated if getattr(arithmetic, "multiplied", "") == "tf32" else accumulated


def _terms(call: Call, result: Buffer) -> float:
    """About how many numbers meet in one of the result."""
    reads = [np.prod(buffer.shape) for buffer in buffers_of(call.reads) if buffer.kind != "workspace"]
    return max(1.0, float(max(reads, default=1)) / max(1, int(np.prod(result.shape))))


def _rounds_before_activation(call: Call) -> bool:
    activation = call.settings.get("activation")
    return activation is not None and activation.name not in ("linear", "relu")


def _bound(
    expected: HostArray, dtype: DType, unit: float, magnitudes: HostArray | None, terms: float
) -> HostArray | None:
    """None: the result has to be equal."""
    if dtype.kind in "iub":
        return None
    finite = np.abs(expected[np.isfinite(expected)], dtype=np.float64)
    largest = float(finite.max(initial=0.0))
    sums = SUM_FACTOR * magnitudes if magnitudes is not None else FUNCTION_FACTOR * sqrt(terms) * largest
    smallest = float(_limits(dtype).smallest_subnormal)
    bound: HostArray = _unit(dtype) * np.abs(expected) + unit * sums + smallest
    return bound


def _largest(found: HostArray, expected: HostArray, bound: HostArray | None) -> tuple[float, float]:
    """The largest error, and the largest share of the bound; NaN and infinity have to be where they are expected."""
    if found.size == 0:
        return 0.0, 0.0
    if bound is None:
        return (0.0, 0.0) if np.array_equal(found, expected) else (nan, inf)
    with np.errstate(all="ignore"):
        rounded = expected.astype(found.dtype).astype(np.float64)
        found = found.astype(np.float64)
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
        error = np.where(same, 0.0, np.abs(found - expected))
        share = np.where(same, 0.0, error / bound)
    broken = ~np.isfinite(error) | np.isnan(share)
    return (inf, inf) if broken.any() else (float(error.max()), float(share.max()))
