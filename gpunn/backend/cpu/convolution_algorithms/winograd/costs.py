"""Which convolutions Winograd's algorithm serves, and what it does for them."""

from __future__ import annotations

from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import Call
from gpunn.backend.cpu.convolution_algorithms.winograd.plan import LARGE_FILTERS_BYTES
from gpunn.backend.cpu.device import memory_order
from gpunn.geometry import Conv2dGeometry

#: What transforming a number once costs, in multiply-adds of a large product.
TRANSFORMING = 20.0
#: What making and packing a transformed filter costs for each of its numbers, in multiply-adds of a large product.
TRANSFORMING_FILTERS = 80.0
#: What cutting tiles at the edges of images and the calls for each band come to, in multiply-adds of a large product:
#: some hundred NumPy calls, however small the image.
STEPS = 3e7
#: Of a number in single precision, for which the rule of thumb is made.
FLOAT_BYTES = 4


def serves(geometry: Conv2dGeometry, r: int) -> bool:
    """Whether tiles for filters of r x r taps compute this convolution."""
    unit = max(*geometry.stride, *geometry.dilation) == 1
    return unit and geometry.groups == 1 and (r, r) == (geometry.R, geometry.S)


def accepts(call: Call) -> bool:
    """Whether the images lie in memory in one piece."""
    return all(memory_order(image).flags.c_contiguous for image in call.images)


def forward_cost(geometry: Conv2dGeometry, m: int) -> float:
    """Multiply-adds of forward and backward-filter, and what the transforms cost."""
    return _cost(geometry, m, geometry.P, geometry.Q)


def backward_data_cost(geometry: Conv2dGeometry, m: int) -> float:
    """Multiply-adds of backward-data, whose tiles are those of gx, and what the transforms cost."""
    return _cost(geometry, m, geometry.H, geometry.W)


def forward_flops(geometry: Conv2dGeometry, m: int) -> int:
    """Two for each multiply-add between the transforms."""
    return 2 * _numbers(geometry, m, geometry.P, geometry.Q) * geometry.C * geometry.K


def backward_data_flops(geometry: Conv2dGeometry, m: int) -> int:
    """Two for each multiply-add between the transforms."""
    return 2 * _numbers(geometry, m, geometry.H, geometry.W) * geometry.C * geometry.K


def _cost(geometry: Conv2dGeometry, m: int, rows: int, columns: int) -> float:
    C, K = geometry.C, geometry.K
    per_number = C * K + TRANSFORMING * (C + K)
    filters = (m + geometry.R - 1) ** 2 * C * K
    # Larger ones are made a few at a time, and used at once.
    kept = FLOAT_BYTES * filters < LARGE_FILTERS_BYTES
    moving = costs.far(2 * filters, filters) if kept else 0.0
    return STEPS + _numbers(geometry, m, rows, columns) * per_number + TRANSFORMING_FILTERS * filters + moving


def _numbers(geometry: Conv2dGeometry, m: int, rows: int, columns: int) -> int:
    """Of one channel, after the transform."""
    return (m + geometry.R - 1) ** 2 * geometry.N * -(-rows // m) * -(-columns // m)
