"""Which algorithm computes a convolution on the CPU: one table a primitive, and the rule that takes one of them.

The rule of thumb counts multiply-adds, and what moving numbers costs in multiply-adds; benchmarks/cpu_convolutions.py
holds it against the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gpunn.backend.attributes import Arithmetic, ConvolutionAlgorithm
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import (
    depthwise,
    direct,
    k_major,
    pointwise,
    pointwise_by_channel,
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
)
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS
from gpunn.backend.cpu.convolution_algorithms.winograd import sizes
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Conv2dGeometry

_DIRECT_FORWARD: Algorithm[ForwardCall] = Algorithm(
    "direct", direct.forward, direct.forward_workspace, direct.forward_cost
)

FORWARD: tuple[Algorithm[ForwardCall], ...] = (
    Algorithm(
        "1x1",
        pointwise.forward,
        pointwise.forward_workspace,
        pointwise.forward_cost,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm(
        "1x1 by channel",
        pointwise_by_channel.forward,
        pointwise_by_channel.forward_workspace,
        pointwise_by_channel.forward_cost,
        serves=pointwise_by_channel.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm("depthwise", depthwise.forward, depthwise.forward_workspace, depthwise.cost, serves=depthwise.serves),
    Algorithm(
        "shifted products",
        shifted.forward,
        shifted.forward_workspace,
        shifted.forward_cost,
        serves=shifted.serves,
        accepts=shifted.accepts,
        flops=shifted.flops,
    ),
    Algorithm("K-major im2col", k_major.forward, k_major.forward_workspace, k_major.forward_cost),
    _DIRECT_FORWARD,
    *sizes.FORWARD,
    *space_to_depth.rearranging((_DIRECT_FORWARD, *sizes.FORWARD), space_to_depth.forward),
)

_DIRECT_BACKWARD_DATA: Algorithm[BackwardDataCall] = Algorithm(
    "direct",
    direct.backward_data,
    direct.backward_data_workspace,
    direct.backward_data_cost,
    flops=direct.backward_data_flops,
)

BACKWARD_DATA: tuple[Algorithm[BackwardDataCall], ...] = (
    Algorithm(
        "1x1",
        pointwise.backward_data,
        pointwise.backward_data_workspace,
        pointwise.backward_data_cost,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm(
        "1x1 by channel",
        pointwise_by_channel.backward_data,
        pointwise_by_channel.backward_data_workspace,
        pointwise_by_channel.backward_data_cost,
        serves=pointwise_by_channel.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm(
        "depthwise",
        depthwise.backward_data,
        depthwise.backward_data_workspace,
        depthwise.cost,
        serves=depthwise.serves,
        flops=depthwise.backward_data_flops,
    ),
    Algorithm(
        "shifted products",
        shifted.backward_data,
        shifted.backward_data_workspace,
        shifted.backward_data_cost,
        serves=shifted.serves,
        accepts=shifted.accepts,
        flops=shifted.flops,
    ),
    Algorithm(
        "tapwise",
        tapwise.backward_data,
        tapwise.backward_data_workspace,
        tapwise.backward_data_cost,
        flops=tapwise.backward_data_flops,
    ),
    Algorithm(
        "K-major im2col",
        k_major.backward_data,
        k_major.backward_data_workspace,
        k_major.backward_data_cost,
        flops=direct.backward_data_flops,
    ),
    _DIRECT_BACKWARD_DATA,
    *sizes.BACKWARD_DATA,
    *space_to_depth.rearranging((_DIRECT_BACKWARD_DATA, *sizes.BACKWARD_DATA), space_to_depth.backward_data),
)

_DIRECT_BACKWARD_FILTER: Algorithm[BackwardFilterCall] = Algorithm(
    "direct", direct.backward_filter, direct.backward_filter_workspace, direct.backward_filter_cost
)

BACKWARD_FILTER: tuple[Algorithm[BackwardFilterCall], ...] = (
    Algorithm(
        "1x1",
        pointwise.backward_filter,
        pointwise.backward_filter_workspace,
        pointwise.backward_filter_cost,
        serves=pointwise.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm(
        "1x1 by channel",
        pointwise_by_channel.backward_filter,
        pointwise_by_channel.backward_filter_workspace,
        pointwise_by_channel.backward_filter_cost,
        serves=pointwise_by_channel.serves,
        accepts=pointwise.accepts,
    ),
    Algorithm(
        "depthwise",
        depthwise.backward_filter,
        depthwise.backward_filter_workspace,
        depthwise.cost,
        serves=depthwise.serves,
    ),
    Algorithm(
        "shifted products",
        shifted.backward_filter,
        shifted.backward_filter_workspace,
        shifted.backward_filter_cost,
        serves=shifted.serves,
        accepts=shifted.accepts,
        flops=shifted.flops,
    ),
    Algorithm(
        "K-major im2col", k_major.backward_filter, k_major.backward_filter_workspace, k_major.backward_filter_cost
    ),
    _DIRECT_BACKWARD_FILTER,
    *sizes.BACKWARD_FILTER,
    *space_to_depth.rearranging((_DIRECT_BACKWARD_FILTER, *sizes.BACKWARD_FILTER), space_to_depth.backward_filter),
)

#: The algorithms of each primitive.
ALGORITHMS: Mapping[str, tuple[Algorithm[Any], ...]] = {
    "convolution2d_forward": FORWARD,
    "convolution2d_backward_data": BACKWARD_DATA,
    "convolution2d_backward_filter": BACKWARD_FILTER,
}


def in_order(
    algorithms: tuple[Algorithm[Call], ...], geometry: Conv2dGeometry, asked: ConvolutionAlgorithm
) -> tuple[Algorithm[Call], ...]:
    """The algorithms that may compute a convolution, the one that should first; the last accepts every call.

    Args:
        asked: "auto" for the cheapest, "direct" for the cheapest that is exact, "winograd" for the cheapest that is
            not, as far as there is one.
    """
    return _in_order(algorithms, geometry, asked)


@lru_cache(PLANS)
def _in_order(
    algorithms: tuple[Algorithm[Any], ...], geometry: Conv2dGeometry, asked: ConvolutionAlgorithm
) -> tuple[Algorithm[Any], ...]:
    serving = [one for one in algorithms if one.serves(geometry) and (one.exact or asked != "direct")]
    ordered = sorted(serving, key=lambda one: (one.exact and asked == "winograd", one.cost(geometry)))
    return tuple(ordered[: 1 + next(place for place, one in enumerate(ordered) if one.accepts is any_call)])


def workspace_bytes(
    device: CpuDevice,
    algorithms: tuple[Algorithm[Call], ...],
    geometry: Conv2dGeometry,
    dtype: DType,
    arithmetic: Arithmetic,
) -> int:
    """Bytes that suffice for whichever algorithm is chosen when the arrays are known."""
    candidates = in_order(algorithms, geometry, asked_of(device, arithmetic))
    return max(one.workspace(device, geometry, dtype) for one in candidates)


def carry_out(device: CpuDevice, algorithms: tuple[Algorithm[Call], ...], call: Call, arithmetic: Arithmetic) -> None:
    """Compute by the algorithm that should, of those that take the call's arrays."""
    candidates = in_order(algorithms, call.geometry, asked_of(device, arithmetic))
    chosen = next(one for one in candidates if one.accepts(call))
    device.journal.chose(chosen.name, lambda: chosen.flops(call.geometry))
    chosen.run(device, call)


def asked_of(device: CpuDevice, arithmetic: Arithmetic) -> ConvolutionAlgorithm:
    """What a layer asks for goes before what the device was opened with."""
    return device.algorithm if arithmetic.algorithm == "auto" else arithmetic.algorithm
