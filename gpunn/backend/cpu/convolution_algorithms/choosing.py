"""Which algorithm computes a convolution on the CPU: one table a primitive, and the rule that takes one of them.

The rule of thumb counts multiply-adds, and what moving numbers costs in multiply-adds; benchmarks/cpu_convolutions.py
holds it against the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Concatenate

from gpunn.backend.attributes import Arithmetic, ConvolutionAlgorithm
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import direct, tapwise
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.winograd import convolving, costs, filter_gradient
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Conv2dGeometry

#: Tiles of m x m outputs for filters of r x r taps, the first those that are preferred.
WINOGRAD = (
    ("winograd F(6x6,3x3)", 6, 3),
    ("winograd F(5x5,3x3)", 5, 3),
    ("winograd F(4x4,3x3)", 4, 3),
    ("winograd F(2x2,3x3)", 2, 3),
    ("winograd F(4x4,5x5)", 4, 5),
)
#: What gathering or writing a number costs, in multiply-adds of a large product.
MOVING = 8.0


def _gathering_cost(pixels: int, depth: int, written: int) -> float:
    """Of `pixels` outputs that read `depth` numbers each and write `written`."""
    return pixels * (depth * written + MOVING * (depth + written))


def _forward_cost(geometry: Conv2dGeometry) -> float:
    depth = geometry.R * geometry.S * geometry.C // geometry.groups
    return _gathering_cost(geometry.N * geometry.P * geometry.Q, depth, geometry.K)


def _backward_data_cost(geometry: Conv2dGeometry) -> float:
    depth = geometry.R * geometry.S * geometry.K // (geometry.groups * geometry.stride.rows * geometry.stride.columns)
    return _gathering_cost(geometry.N * geometry.H * geometry.W, depth, geometry.C)


def _always(anything: object) -> bool:
    return True


def _winograd(
    cost: Callable[..., float],
    flops: Callable[..., int],
    workspace: Callable[..., int],
    run: Callable[Concatenate[CpuDevice, Call, ...], None],
) -> Iterator[Algorithm[Call]]:
    """One algorithm for each size of tile, of functions that take it as their argument m."""
    for name, m, r in WINOGRAD:
        yield Algorithm(
            name=name,
            exact=False,
            serves=partial(costs.serves, m=m, r=r),
            accepts=costs.accepts,
            cost=partial(cost, m=m),
            flops=partial(flops, m=m),
            workspace=partial(workspace, m=m),
            run=partial(run, m=m),
        )


FORWARD: tuple[Algorithm[ForwardCall], ...] = (
    Algorithm(
        name="direct",
        exact=True,
        serves=_always,
        accepts=_always,
        cost=_forward_cost,
        flops=lambda geometry: geometry.flops,
        workspace=direct.forward_workspace,
        run=direct.forward,
    ),
    *_winograd(costs.forward_cost, costs.forward_flops, convolving.forward_workspace, convolving.forward),
)

BACKWARD_DATA: tuple[Algorithm[BackwardDataCall], ...] = (
    Algorithm(
        name="tapwise",
        exact=True,
        serves=tapwise.suits,
        accepts=_always,
        cost=lambda geometry: 0.0,
        flops=tapwise.backward_data_flops,
        workspace=tapwise.backward_data_workspace,
        run=tapwise.backward_data,
    ),
    Algorithm(
        name="direct",
        exact=True,
        serves=_always,
        accepts=_always,
        cost=_backward_data_cost,
        flops=direct.backward_data_flops,
        workspace=direct.backward_data_workspace,
        run=direct.backward_data,
    ),
    *_winograd(
        costs.backward_data_cost,
        costs.backward_data_flops,
        convolving.backward_data_workspace,
        convolving.backward_data,
    ),
)

BACKWARD_FILTER: tuple[Algorithm[BackwardFilterCall], ...] = (
    Algorithm(
        name="direct",
        exact=True,
        serves=_always,
        accepts=_always,
        cost=_forward_cost,
        flops=lambda geometry: geometry.flops,
        workspace=direct.backward_filter_workspace,
        run=direct.backward_filter,
    ),
    *_winograd(
        costs.forward_cost,
        costs.forward_flops,
        filter_gradient.backward_filter_workspace,
        filter_gradient.backward_filter,
    ),
)


#: The algorithms of each primitive.
ALGORITHMS: Mapping[str, Sequence[Algorithm[Any]]] = {
    "convolution2d_forward": FORWARD,
    "convolution2d_backward_data": BACKWARD_DATA,
    "convolution2d_backward_filter": BACKWARD_FILTER,
}


def in_order(
    algorithms: Sequence[Algorithm[Call]], geometry: Conv2dGeometry, asked: ConvolutionAlgorithm
) -> list[Algorithm[Call]]:
    """The algorithms that may compute a convolution, the one that should first; the last accepts every call.

    Args:
        asked: "auto" for the cheapest, "direct" for the cheapest that is exact, "winograd" for the cheapest that is
            not, as far as there is one.
    """
    serving = [one for one in algorithms if one.serves(geometry) and (one.exact or asked != "direct")]
    ordered = sorted(serving, key=lambda one: (one.exact and asked == "winograd", one.cost(geometry)))
    return ordered[: 1 + next(place for place, one in enumerate(ordered) if one.accepts is _always)]


def workspace_bytes(
    device: CpuDevice,
    algorithms: Sequence[Algorithm[Call]],
    geometry: Conv2dGeometry,
    dtype: DType,
    arithmetic: Arithmetic,
) -> int:
    """Bytes that suffice for whichever algorithm is chosen when the arrays are known."""
    candidates = in_order(algorithms, geometry, asked_of(device, arithmetic))
    return max(one.workspace(device, geometry, dtype) for one in candidates)


def carry_out(device: CpuDevice, algorithms: Sequence[Algorithm[Call]], call: Call, arithmetic: Arithmetic) -> None:
    """Compute by the algorithm that should, of those that take the call's arrays."""
    candidates = in_order(algorithms, call.geometry, asked_of(device, arithmetic))
    chosen = next(one for one in candidates if one.accepts(call))
    device.journal.chose(chosen.name, lambda: chosen.flops(call.geometry))
    chosen.run(device, call)


def asked_of(device: CpuDevice, arithmetic: Arithmetic) -> ConvolutionAlgorithm:
    """What a layer asks for goes before what the device was opened with."""
    return device.algorithm if arithmetic.algorithm == "auto" else arithmetic.algorithm
