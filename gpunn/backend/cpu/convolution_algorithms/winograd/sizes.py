"""Winograd's algorithm as several: one for each size of tile and filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Concatenate

from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.winograd import convolving, costs, filter_gradient
from gpunn.backend.cpu.device import CpuDevice

#: Tiles of m x m outputs for filters of r x r taps, the first those that are preferred. Larger ones would round beyond
#: what is asked of a layer, 2e-5: with seven outputs and three taps the error is 4e-5.
SIZES = (
    ("winograd F(6x6,3x3)", 6, 3),
    ("winograd F(5x5,3x3)", 5, 3),
    ("winograd F(4x4,3x3)", 4, 3),
    ("winograd F(2x2,3x3)", 2, 3),
    ("winograd F(4x4,5x5)", 4, 5),
)


def _of_every_size(
    run: Callable[Concatenate[CpuDevice, Call, ...], None],
    workspace: Callable[..., int],
    cost: Callable[..., float],
    flops: Callable[..., int],
) -> Iterator[Algorithm[Call]]:
    """Of functions that take the size of a tile as their argument m."""
    for name, m, r in SIZES:
        yield Algorithm(
            name=name,
            run=partial(run, m=m),
            workspace=partial(workspace, m=m),
            cost=partial(cost, m=m),
            serves=partial(costs.serves, r=r),
            accepts=costs.accepts,
            flops=partial(flops, m=m),
            exact=False,
        )


FORWARD: tuple[Algorithm[ForwardCall], ...] = tuple(
    _of_every_size(convolving.forward, convolving.forward_workspace, costs.forward_cost, costs.forward_flops)
)

BACKWARD_DATA: tuple[Algorithm[BackwardDataCall], ...] = tuple(
    _of_every_size(
        convolving.backward_data,
        convolving.backward_data_workspace,
        costs.backward_data_cost,
        costs.backward_data_flops,
    )
)

BACKWARD_FILTER: tuple[Algorithm[BackwardFilterCall], ...] = tuple(
    _of_every_size(
        filter_gradient.backward_filter,
        filter_gradient.backward_filter_workspace,
        costs.forward_cost,
        costs.forward_flops,
    )
)
