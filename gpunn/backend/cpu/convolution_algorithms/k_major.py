"""Convolution by gathering tap by tap: a matrix with a row for each tap and channel, and one for each output pixel.

Chellapilla, Puri and Simard's matrix transposed: a row is copied in runs of Q * N numbers, where direct.py's runs have
C, so it is the better order for images of few channels. A last row of ones makes the bias one more tap: it costs no
pass over the result, nor does its gradient.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.direct import add_slots, by_phase, by_phase_workspace, multiply
from gpunn.backend.cpu.convolution_algorithms.gather import Block, Reading, by_group, gather_by_tap
from gpunn.backend.cpu.convolution_algorithms.plan import (
    PLANS,
    FilterPlan,
    phases_of,
    plan_data,
    plan_filter,
    plan_forward,
)
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]

#: NumPy keeps the interpreter's lock during a product of so few numbers, however long the sums are.
LOCKED_PRODUCT = 500
#: Pixels go into at most so many times the parts that free the lock: adding up more products costs more than it does.
MORE_PARTS = 8


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    plan = plan_forward(geometry, call.x.dtype.itemsize, device.threads, by_tap=True)
    cutter = Cutter(call.workspace, call.x.dtype)
    shares = cutter.take_shares(plan.share, device.threads)
    filters = cutter.take(plan.reading.depth + 1, geometry.K)
    np.copyto(filters[:-1], call.w.reshape(-1, geometry.K))
    filters[-1] = 0 if call.bias is None else call.bias
    image, result = memory_order(call.x), memory_order(call.y)

    def work(index: int) -> None:
        window, patches, product = shares[index % device.threads]
        block = plan.blocks[index]
        part = block.of(result)
        read = gather_by_tap(plan.reading, block, image, window, patches)
        multiply(part, read.transpose(0, 2, 1), by_group(filters, geometry.groups), product, accumulate=False)
        finish(device, part, None, call.activation)

    device.parallel(work, range(len(plan.blocks)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the filters with the bias below them too."""
    plan = plan_forward(geometry, dtype.itemsize, device.threads, by_tap=True)
    return workspace_bytes(plan.share, device.threads, [(plan.reading.depth + 1, geometry.K)], dtype.itemsize)


def forward_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of a row, and of multiplying."""
    pixels, depth = geometry.N * geometry.P * geometry.Q, _depth(geometry)
    return _gathering(geometry) + costs.product_by_blocks(pixels, depth, geometry.K // geometry.groups, geometry.groups)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract: gy is gathered tap by tap."""
    plan = plan_data(call.geometry, call.gx.dtype.itemsize, device.threads, by_tap=True)
    by_phase(device, call, plan, _gather_pixels)


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    plan = plan_data(geometry, dtype.itemsize, device.threads, by_tap=True)
    return by_phase_workspace(device, geometry, plan, dtype)


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of a row, and of multiplying, phase by phase."""
    cost = _turning(geometry.N * geometry.P * geometry.Q, geometry.K)
    for phase in phases_of(geometry):
        if phase.reading is not None:
            pixels, depth = geometry.N * phase.rows * phase.columns, phase.reading.depth
            numbers = pixels * depth * geometry.groups
            cost += costs.PHASE + costs.copy(numbers, geometry.N * phase.columns) + costs.PACKED_ACROSS * numbers
            cost += costs.product_by_blocks(pixels, depth, geometry.C // geometry.groups, geometry.groups)
    return cost


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract."""
    geometry = call.geometry
    plan = plan_filter(geometry, call.gw.dtype.itemsize, device.threads, by_tap=True)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(plan.share, device.threads)
    sums, products = (cutter.take(*shape) for shape in _sum_shapes(plan, geometry))
    image, gradients = memory_order(call.x), memory_order(call.gy)

    def work(slot: int) -> None:
        window, patches, _ = shares[slot % device.threads]
        sums[slot].fill(0)
        for block in plan.slots[slot]:
            read = gather_by_tap(plan.reading, block, image, window, patches)
            gradient = by_group(block.of(gradients).reshape(-1, geometry.K), geometry.groups)
            parts = _parts(plan.reading, block, geometry.K)
            product = products[slot, :parts]
            np.matmul(
                read.reshape(*read.shape[:2], parts, -1).transpose(2, 0, 1, 3),
                gradient.reshape(len(gradient), parts, -1, gradient.shape[2]).transpose(1, 0, 2, 3),
                out=product.reshape(parts, -1, geometry.groups, gradient.shape[2]).transpose(0, 2, 1, 3),
            )
            for part in product:
                np.add(sums[slot], part, out=sums[slot])

    device.parallel(work, range(len(plan.slots)))
    flat = sums.reshape(len(sums), -1)
    add_slots(device, call.gw.reshape(-1), flat[:, : call.gw.size], call.accumulate)
    if call.gbias is not None:
        add_slots(device, call.gbias, flat[:, call.gw.size :], call.accumulate)


def backward_filter_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of a row, and of multiplying."""
    pixels, depth = geometry.N * geometry.P * geometry.Q, _depth(geometry)
    multiplying = costs.summed_product(depth, pixels, geometry.K // geometry.groups, geometry.groups)
    return _gathering(geometry) + multiplying + costs.slots(depth * geometry.K)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: each slot has sums and products of its own."""
    plan = plan_filter(geometry, dtype.itemsize, device.threads, by_tap=True)
    return workspace_bytes(plan.share, device.threads, _sum_shapes(plan, geometry), dtype.itemsize)


def _depth(geometry: Conv2dGeometry) -> int:
    return geometry.R * geometry.S * geometry.C // geometry.groups


def _gathering(geometry: Conv2dGeometry) -> float:
    numbers = geometry.N * geometry.P * geometry.Q * _depth(geometry) * geometry.groups
    packing = (costs.PACKED_ACROSS - costs.PACKED) * numbers
    if geometry.stride.columns == 1:
        copying = costs.copy(numbers, geometry.N * geometry.Q)
    else:
        # Of one image, NumPy's inner loop steps along the row.
        copying = costs.TURNED * numbers if geometry.N == 1 else costs.copy(numbers, geometry.N)
    return _turning(geometry.N * geometry.H * geometry.W, geometry.C) + copying + packing


def _turning(pixels: int, channels: int) -> float:
    """Several channels are first copied one after another, number by number."""
    return costs.TURNED * pixels * channels if channels > 1 else 0.0


def _sum_shapes(plan: FilterPlan, geometry: Conv2dGeometry) -> list[Shape]:
    """Shapes of each slot's sums, with a last row for the bias, and of the products of a block."""
    slots, rows = len(plan.slots), plan.reading.depth + 1
    parts = max(_parts(plan.reading, block, geometry.K) for blocks in plan.slots for block in blocks)
    return [(slots, rows, geometry.K), (slots, parts, rows, geometry.K)]


def _gather_pixels(reading: Reading, block: Block, image: Array, window: Array, patches: Array) -> Array:
    """As gather.gather, (G, pixels * N, depth), but laid out tap by tap."""
    return gather_by_tap(reading, block, image, window, patches)[:, :-1].transpose(0, 2, 1)


@lru_cache(PLANS)
def _parts(reading: Reading, block: Block, K: int) -> int:
    """Into how many even parts a block's pixels go, for their products together to free the interpreter's lock.

    One part where no number of parts that is worth it divides the pixels.
    """
    pixels = block.rows * block.columns * reading.N
    wanted = min(pixels, 1 + LOCKED_PRODUCT // ((reading.depth + 1) * K))
    most = min(pixels, MORE_PARTS * wanted)
    return next((parts for parts in range(wanted, most + 1) if pixels % parts == 0), 1)
