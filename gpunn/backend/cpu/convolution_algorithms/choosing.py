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
from gpunn.backend.cpu.convolution_algorithms import (
    depthwise,
    direct,
    k_major,
    pointwise,
    shifted,
    space_to_depth,
    tapwise,
)
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
    any_call,
    any_geometry,
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
#: What cutting tiles at the edges of images and the calls for each band come to, in multiply-adds of a large product:
#: some hundred NumPy calls, however small the image.
STEPS_OF_TILES = 5e7


def _with_steps(geometry: Conv2dGeometry, cost: Callable[[Conv2dGeometry], float]) -> float:
    return STEPS_OF_TILES + cost(geometry)


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
            cost=partial(_with_steps, cost=partial(cost, m=m)),
            flops=partial(flops, m=m),
            workspace=partial(workspace, m=m),
            run=partial(run, m=m),
        )


def _flops(geometry: Conv2dGeometry) -> int:
    return geometry.flops


def _space_to_depth(through: Algorithm[Call], run: Callable[..., None]) -> Algorithm[Call]:
    """Another algorithm, of the image and filters rearranged."""
    return Algorithm(
        name="space-to-depth" if through.exact else f"space-to-depth, {through.name}",
        exact=through.exact,
        serves=lambda geometry: space_to_depth.serves(geometry) and through.serves(space_to_depth.rearranged(geometry)),
        accepts=any_call,
        cost=partial(space_to_depth.cost, through=through),
        flops=partial(space_to_depth.flops, through=through),
        workspace=partial(space_to_depth.workspace, through=through),
        run=partial(run, through=through),
    )


_DIRECT_FORWARD: Algorithm[ForwardCall] = Algorithm(
    name="direct",
    exact=True,
    serves=any_geometry,
    accepts=any_call,
    cost=direct.forward_cost,
    flops=_flops,
    workspace=direct.forward_workspace,
    run=direct.forward,
)

_WINOGRAD_FORWARD: tuple[Algorithm[ForwardCall], ...] = tuple(
    _winograd(costs.forward_cost, costs.forward_flops, convolving.forward_workspace, convolving.forward)
)

FORWARD: tuple[Algorithm[ForwardCall], ...] = (
    Algorithm(
        name="1x1",
        exact=True,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
        cost=pointwise.forward_cost,
        flops=_flops,
        workspace=pointwise.forward_workspace,
        run=pointwise.forward,
    ),
    Algorithm(
        name="depthwise",
        exact=True,
        serves=depthwise.serves,
        accepts=any_call,
        cost=depthwise.cost,
        flops=_flops,
        workspace=depthwise.forward_workspace,
        run=depthwise.forward,
    ),
    Algorithm(
        name="shifted products",
        exact=True,
        serves=shifted.serves,
        accepts=shifted.accepts,
        cost=shifted.forward_cost,
        flops=shifted.flops,
        workspace=shifted.forward_workspace,
        run=shifted.forward,
    ),
    Algorithm(
        name="K-major im2col",
        exact=True,
        serves=any_geometry,
        accepts=any_call,
        cost=k_major.forward_cost,
        flops=_flops,
        workspace=k_major.forward_workspace,
        run=k_major.forward,
    ),
    _space_to_depth(_DIRECT_FORWARD, space_to_depth.forward),
    _DIRECT_FORWARD,
    *_WINOGRAD_FORWARD,
    *(_space_to_depth(one, space_to_depth.forward) for one in _WINOGRAD_FORWARD),
)

_DIRECT_BACKWARD_DATA: Algorithm[BackwardDataCall] = Algorithm(
    name="direct",
    exact=True,
    serves=any_geometry,
    accepts=any_call,
    cost=direct.backward_data_cost,
    flops=direct.backward_data_flops,
    workspace=direct.backward_data_workspace,
    run=direct.backward_data,
)

_WINOGRAD_BACKWARD_DATA: tuple[Algorithm[BackwardDataCall], ...] = tuple(
    _winograd(
        costs.backward_data_cost,
        costs.backward_data_flops,
        convolving.backward_data_workspace,
        convolving.backward_data,
    )
)

BACKWARD_DATA: tuple[Algorithm[BackwardDataCall], ...] = (
    Algorithm(
        name="1x1",
        exact=True,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
        cost=pointwise.backward_data_cost,
        flops=_flops,
        workspace=pointwise.backward_data_workspace,
        run=pointwise.backward_data,
    ),
    Algorithm(
        name="depthwise",
        exact=True,
        serves=depthwise.serves,
        accepts=any_call,
        cost=depthwise.cost,
        flops=depthwise.backward_data_flops,
        workspace=depthwise.backward_data_workspace,
        run=depthwise.backward_data,
    ),
    Algorithm(
        name="shifted products",
        exact=True,
        serves=shifted.serves,
        accepts=shifted.accepts,
        cost=shifted.backward_data_cost,
        flops=shifted.flops,
        workspace=shifted.backward_data_workspace,
        run=shifted.backward_data,
    ),
    Algorithm(
        name="tapwise",
        exact=True,
        serves=any_geometry,
        accepts=any_call,
        cost=tapwise.backward_data_cost,
        flops=tapwise.backward_data_flops,
        workspace=tapwise.backward_data_workspace,
        run=tapwise.backward_data,
    ),
    Algorithm(
        name="K-major im2col",
        exact=True,
        serves=any_geometry,
        accepts=any_call,
        cost=k_major.backward_data_cost,
        flops=direct.backward_data_flops,
        workspace=k_major.backward_data_workspace,
        run=k_major.backward_data,
    ),
    _space_to_depth(_DIRECT_BACKWARD_DATA, space_to_depth.backward_data),
    _DIRECT_BACKWARD_DATA,
    *_WINOGRAD_BACKWARD_DATA,
    *(_space_to_depth(one, space_to_depth.backward_data) for one in _WINOGRAD_BACKWARD_DATA),
)

_DIRECT_BACKWARD_FILTER: Algorithm[BackwardFilterCall] = Algorithm(
    name="direct",
    exact=True,
    serves=any_geometry,
    accepts=any_call,
    cost=direct.backward_filter_cost,
    flops=_flops,
    workspace=direct.backward_filter_workspace,
    run=direct.backward_filter,
)

_WINOGRAD_BACKWARD_FILTER: tuple[Algorithm[BackwardFilterCall], ...] = tuple(
    _winograd(
        costs.forward_cost,
        costs.forward_flops,
        filter_gradient.backward_filter_workspace,
        filter_gradient.backward_filter,
    )
)

BACKWARD_FILTER: tuple[Algorithm[BackwardFilterCall], ...] = (
    Algorithm(
        name="1x1",
        exact=True,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
        cost=pointwise.backward_filter_cost,
        flops=_flops,
        workspace=pointwise.backward_filter_workspace,
        run=pointwise.backward_filter,
    ),
    Algorithm(
        name="depthwise",
        exact=True,
        serves=depthwise.serves,
        accepts=any_call,
        cost=depthwise.cost,
        flops=_flops,
        workspace=depthwise.backward_filter_workspace,
        run=depthwise.backward_filter,
    ),
    Algorithm(
        name="shifted products",
        exact=True,
        serves=shifted.serves,
        accepts=shifted.accepts,
        cost=shifted.backward_filter_cost,
        flops=shifted.flops,
        workspace=shifted.backward_filter_workspace,
        run=shifted.backward_filter,
    ),
    Algorithm(
        name="K-major im2col",
        exact=True,
        serves=any_geometry,
        accepts=any_call,
        cost=k_major.backward_filter_cost,
        flops=_flops,
        workspace=k_major.backward_filter_workspace,
        run=k_major.backward_filter,
    ),
    _space_to_depth(_DIRECT_BACKWARD_FILTER, space_to_depth.backward_filter),
    _DIRECT_BACKWARD_FILTER,
    *_WINOGRAD_BACKWARD_FILTER,
    *(_space_to_depth(one, space_to_depth.backward_filter) for one in _WINOGRAD_BACKWARD_FILTER),
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
    return ordered[: 1 + next(place for place, one in enumerate(ordered) if one.accepts is any_call)]


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
