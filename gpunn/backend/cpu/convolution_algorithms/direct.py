"""Convolution for every shape by gathering pixel by pixel: each block of output pixels is one matrix product.

The patches that a block reads are copied into a matrix (Chellapilla, Puri and Simard, "High performance convolutional
neural networks for document processing", 2006) that is multiplied while it is in cache. Backward-data is a
convolution too, one for each phase of the stride, so no two blocks ever write the same pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.cutting import SMALL_WORK
from gpunn.backend.cpu.convolution_algorithms.gather import as_rows, by_group, gather
from gpunn.backend.cpu.convolution_algorithms.plan import (
    DataPlan,
    FilterPlan,
    Phase,
    plan_data,
    plan_filter,
    plan_forward,
)
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    plan = plan_forward(geometry, call.x.dtype.itemsize, device.threads)
    cutter = Cutter(call.workspace, call.x.dtype)
    shares = cutter.take_shares(plan.share, device.threads)
    image, result = memory_order(call.x), memory_order(call.y)
    filters = by_group(call.w.reshape(-1, geometry.K), geometry.groups)
    pixel_bias = None
    if call.bias is not None:
        pixel_bias = cutter.take(geometry.N, geometry.K)
        np.copyto(pixel_bias, call.bias)

    def work(index: int) -> None:
        window, patches, product = shares[index % device.threads]
        block = plan.blocks[index]
        part = block.of(result)
        read = gather(plan.reading, block, image, window, patches)
        multiply(part, read, filters, product, accumulate=False)
        finish(device, part, pixel_bias, call.activation)

    device.parallel(work, range(len(plan.blocks)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the bias is repeated for each image, so that it is added in runs of N * K."""
    plan = plan_forward(geometry, dtype.itemsize, device.threads)
    return workspace_bytes(plan.share, device.threads, [(geometry.N, geometry.K)], dtype.itemsize)


def forward_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of C/G, and of multiplying."""
    depth, pixels = _depth(geometry), geometry.N * geometry.P * geometry.Q
    gathering = costs.copy(pixels * depth * geometry.groups, _run(geometry, geometry.C, geometry.S))
    return gathering + costs.product_by_blocks(pixels, depth, geometry.K // geometry.groups, geometry.groups)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract."""
    by_phase(device, call, plan_data(call.geometry, call.gx.dtype.itemsize, device.threads), gather)


def by_phase(device: CpuDevice, call: BackwardDataCall, plan: DataPlan, read_block: Callable[..., Array]) -> None:
    """Backward-data by a plan whose blocks `read_block` gathers."""
    geometry = call.geometry
    cutter = Cutter(call.workspace, call.gx.dtype)
    shares = cutter.take_shares(plan.share, device.threads)
    image, result = memory_order(call.gy), memory_order(call.gx)
    targets = [
        result[phase.row :: geometry.stride.rows, phase.column :: geometry.stride.columns] for phase in plan.phases
    ]
    packed = [_pack(device, cutter.take(*shape), call.w, phase) for phase, shape in _packed_shapes(plan, geometry)]

    def work(index: int) -> None:
        window, patches, product = shares[index % device.threads]
        phase, block = plan.blocks[index]
        reading = plan.phases[phase].reading
        part = block.of(targets[phase])
        if reading is not None:
            read = read_block(reading, block, image, window, patches)
            multiply(part, read, packed[phase], product, call.accumulate)
        elif not call.accumulate:
            part.fill(0)

    device.parallel(work, range(len(plan.blocks)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the filters are copied too, phase by phase."""
    return by_phase_workspace(device, geometry, plan_data(geometry, dtype.itemsize, device.threads), dtype)


def by_phase_workspace(device: CpuDevice, geometry: Conv2dGeometry, plan: DataPlan, dtype: DType) -> int:
    """Bytes of scratch of `by_phase`."""
    shapes = [shape for _, shape in _packed_shapes(plan, geometry)]
    return workspace_bytes(plan.share, device.threads, shapes, dtype.itemsize)


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of K/G, and of multiplying, phase by phase."""
    return sum(_phase_cost(geometry, phase) for phase in plan_data(geometry, 1, 1).phases)


def backward_data_flops(geometry: Conv2dGeometry) -> int:
    """What is multiplied and added: every pixel of gx meets every tap of its phase, also where that reads padding."""
    phases = plan_data(geometry, 1, 1).phases
    products = sum(phase.rows * phase.columns * phase.reading.depth for phase in phases if phase.reading is not None)
    return 2 * geometry.N * geometry.C * products


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract."""
    geometry = call.geometry
    plan = plan_filter(geometry, call.gw.dtype.itemsize, device.threads)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(plan.share, device.threads)
    filter_sums, bias_sums, ones = (cutter.take(*shape) for shape in _sum_shapes(plan, geometry))
    ones.fill(1)
    image, gradients = memory_order(call.x), memory_order(call.gy)

    def work(slot: int) -> None:
        window, patches, product = shares[slot % device.threads]
        for place, block in enumerate(plan.slots[slot]):
            gradient = block.of(gradients).reshape(-1, geometry.K)
            filters, biases = filter_sums[slot], bias_sums[slot]
            if place > 0:
                filters, biases = product[: filters.size].reshape(filters.shape), product[filters.size :]
            read = gather(plan.reading, block, image, window, patches)
            np.matmul(
                read.transpose(0, 2, 1), by_group(gradient, geometry.groups), out=by_group(filters, geometry.groups)
            )
            if call.gbias is not None:
                np.matmul(ones[: len(gradient)], gradient, out=biases)
            if place > 0:
                np.add(filter_sums[slot], filters, out=filter_sums[slot])
                np.add(bias_sums[slot], biases, out=bias_sums[slot])

    device.parallel(work, range(len(plan.slots)))
    add_slots(device, call.gw.reshape(-1), filter_sums.reshape(len(plan.slots), -1), call.accumulate)
    if call.gbias is not None:
        add_slots(device, call.gbias, bias_sums, call.accumulate)


def backward_filter_cost(geometry: Conv2dGeometry) -> float:
    """Of gathering in runs of C/G, and of multiplying."""
    depth, pixels = _depth(geometry), geometry.N * geometry.P * geometry.Q
    gathering = costs.copy(pixels * depth * geometry.groups, _run(geometry, geometry.C, geometry.S))
    adding = costs.slots(depth * geometry.K)
    return gathering + adding + costs.summed_product(depth, pixels, geometry.K // geometry.groups, geometry.groups)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: each slot has sums of its own."""
    plan = plan_filter(geometry, dtype.itemsize, device.threads)
    return workspace_bytes(plan.share, device.threads, _sum_shapes(plan, geometry), dtype.itemsize)


def _depth(geometry: Conv2dGeometry) -> int:
    return geometry.R * geometry.S * geometry.C // geometry.groups


def _run(geometry: Conv2dGeometry, channels: int, taps: int) -> int:
    """Numbers that are copied in one piece: the taps of a row are neighbours where there is but one image."""
    dense = geometry.N == geometry.groups == geometry.dilation.columns == 1
    return channels // geometry.groups * (taps if dense else 1)


def _phase_cost(geometry: Conv2dGeometry, phase: Phase) -> float:
    if phase.reading is None:
        return 0.0
    pixels, groups = geometry.N * phase.rows * phase.columns, geometry.groups
    run = _run(geometry, geometry.K, phase.reading.columns.taps)
    gathering = costs.copy(pixels * phase.reading.depth * groups, run)
    gathering += costs.PHASE
    filters = phase.reading.depth * geometry.C
    gathering += costs.PACKED_ACROSS * filters + costs.far(2 * filters, filters)
    return gathering + costs.product_by_blocks(pixels, phase.reading.depth, geometry.C // groups, groups)


def _sum_shapes(plan: FilterPlan, geometry: Conv2dGeometry) -> list[Shape]:
    """Shapes of the slots' filter gradients and bias gradients, and of the ones that add up columns."""
    slots = len(plan.slots)
    return [(slots, plan.reading.depth, geometry.K), (slots, geometry.K), (plan.matrix_rows,)]


def _packed_shapes(plan: DataPlan, geometry: Conv2dGeometry) -> list[tuple[Phase, Shape]]:
    """Each phase with the shape (G, C/G, taps * K/G) of its filters."""
    channels = geometry.C // geometry.groups
    return [(phase, (geometry.groups, channels, phase.reading.depth if phase.reading else 0)) for phase in plan.phases]


def _pack(device: CpuDevice, packed: Array, w: Array, phase: Phase) -> Array:
    """The filters that reach a phase as matrices (G, taps * K/G, C/G); they are copied in runs of K/G."""
    taps = w[phase.taps_down, phase.taps_right]
    down, right, channels, K = taps.shape
    if packed.size:
        groups = len(packed)
        ordered = taps.reshape(down, right, channels, groups, K // groups).transpose(3, 2, 0, 1, 4)
        target = packed.reshape(ordered.shape)
        spans = split(channels, min(channels, device.threads if packed.size > SMALL_WORK else 1))

        def work(index: int) -> None:
            part = slice(*spans[index])
            np.copyto(target[:, part], ordered[:, part])

        device.parallel(work, range(len(spans)))
    return packed.transpose(0, 2, 1)


def multiply(part: Array, read: Array, filters: Array, product: Array, accumulate: bool) -> None:
    """part = read @ filters, group by group; += with `accumulate`. `product` is used where BLAS cannot write part."""
    rows = None if accumulate else as_rows(part)
    if rows is not None:
        np.matmul(read, filters, out=by_group(rows, len(filters)))
        return
    staged = product[: part.size].reshape(part.shape)
    np.matmul(read, filters, out=by_group(staged.reshape(-1, part.shape[-1]), len(filters)))
    if accumulate:
        np.add(part, staged, out=part)
    else:
        np.copyto(part, staged)


def add_slots(device: CpuDevice, target: Array, slots: Array, accumulate: bool) -> None:
    """target = the sum of the slots in order; with `accumulate` they are added to it, one after another."""
    pieces = split(target.size, device.threads if target.size > SMALL_WORK else 1)

    def work(index: int) -> None:
        piece = slice(*pieces[index])
        if not accumulate:
            np.add.reduce(slots[:, piece], axis=0, out=target[piece])
            return
        for slot in slots:
            np.add(target[piece], slot[piece], out=target[piece])

    device.parallel(work, range(len(pieces)))
