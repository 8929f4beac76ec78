"""Convolution with filters of one tap, without padding: the image is the matrix of one product.

With a stride, only the pixels that are read are copied; without one, nothing is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, Call, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.cutting import cut_pixels
from gpunn.backend.cpu.convolution_algorithms.direct import add_slots, multiply
from gpunn.backend.cpu.convolution_algorithms.gather import Block, as_rows, by_group
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, Share, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]


def serves(geometry: Conv2dGeometry) -> bool:
    """Whether every output pixel reads one pixel, which lies in the image."""
    return geometry.R == geometry.S == 1 and not any(geometry.padding)


def accepts(call: Call) -> bool:
    """Whether the pixels of both images lie at even distances, as those of channel slices do."""
    return all(as_rows(memory_order(image)) is not None for image in call.images)


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    blocks = _blocks(device, geometry, call.x.itemsize)
    cutter = Cutter(call.workspace, call.x.dtype)
    shares = cutter.take_shares(_share(geometry, blocks), device.threads)
    pixel_bias = cutter.take(geometry.N, geometry.K)
    if call.bias is not None:
        np.copyto(pixel_bias, call.bias)
    read, result = read_pixels(call.x, geometry), memory_order(call.y)
    filters = by_group(call.w.reshape(-1, geometry.K), geometry.groups)

    def work(index: int) -> None:
        _, patches, product = shares[index % device.threads]
        part = blocks[index].of(result)
        rows = as_matrix(blocks[index].of(read), patches)
        multiply(part, by_group(rows, geometry.groups), filters, product, accumulate=False)
        finish(device, part, None if call.bias is None else pixel_bias, call.activation)

    device.parallel(work, range(len(blocks)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the bias is repeated for each image, so that it is added in runs of N * K."""
    share = _share(geometry, _blocks(device, geometry, dtype.itemsize))
    return workspace_bytes(share, device.threads, [(geometry.N, geometry.K)], dtype.itemsize)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract; pixels that nothing reads get no gradient."""
    geometry = call.geometry
    blocks = _blocks(device, geometry, call.gx.itemsize)
    shares = Cutter(call.workspace, call.gx.dtype).take_shares(_share(geometry, blocks), device.threads)
    gradient, result = memory_order(call.gy), read_pixels(call.gx, geometry)
    filters = by_group(call.w.reshape(-1, geometry.K), geometry.groups).transpose(0, 2, 1)
    if not call.accumulate and geometry.input_shape[1:3] != geometry.output_shape[1:3]:
        clear(device, memory_order(call.gx))

    def work(index: int) -> None:
        _, patches, product = shares[index % device.threads]
        rows = by_group(as_matrix(blocks[index].of(gradient), patches), geometry.groups)
        multiply(blocks[index].of(result), rows, filters, product, call.accumulate)

    device.parallel(work, range(len(blocks)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    return workspace_bytes(
        _share(geometry, _blocks(device, geometry, dtype.itemsize)), device.threads, [], dtype.itemsize
    )


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract."""
    geometry = call.geometry
    blocks = _blocks(device, geometry, call.gw.itemsize)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(_share(geometry, blocks), device.threads)
    filter_sums, bias_sums, products, ones = (
        cutter.take(*shape) for shape in _sum_shapes(device.threads, geometry, blocks)
    )
    ones.fill(1)
    read, gradients = read_pixels(call.x, geometry), memory_order(call.gy)
    slots = split(len(blocks), len(filter_sums))

    def work(slot: int) -> None:
        _, patches, staged = shares[slot % device.threads]
        first, stop = slots[slot]
        for place in range(first, stop):
            sums = (filter_sums[slot], bias_sums[slot])
            filters, biases = sums if place == first else (products[slot, :-1], products[slot, -1])
            rows = by_group(as_matrix(blocks[place].of(read), patches), geometry.groups)
            gradient = as_matrix(blocks[place].of(gradients), staged)
            into = by_group(filters, geometry.groups)
            np.matmul(rows.transpose(0, 2, 1), by_group(gradient, geometry.groups), out=into)
            if call.gbias is not None:
                np.matmul(ones[: len(gradient)], gradient, out=biases)
            if place > first:
                np.add(sums[0], filters, out=sums[0])
                np.add(sums[1], biases, out=sums[1])

    device.parallel(work, range(len(slots)))
    add_slots(device, call.gw.reshape(-1), filter_sums.reshape(len(slots), -1), call.accumulate)
    if call.gbias is not None:
        add_slots(device, call.gbias, bias_sums, call.accumulate)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: each slot has sums of its own, and the products of a block."""
    blocks = _blocks(device, geometry, dtype.itemsize)
    shapes = _sum_shapes(device.threads, geometry, blocks)
    return workspace_bytes(_share(geometry, blocks), device.threads, shapes, dtype.itemsize)


def forward_cost(geometry: Conv2dGeometry) -> float:
    """Of copying where there is a stride, and of multiplying."""
    pixels, groups = geometry.N * geometry.P * geometry.Q, geometry.groups
    product = costs.product_by_blocks(pixels, geometry.C // groups, geometry.K // groups, groups)
    return product + copying_cost(geometry)


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying, and of what writing only some pixels takes."""
    pixels, groups = geometry.N * geometry.P * geometry.Q, geometry.groups
    product = costs.product_by_blocks(pixels, geometry.K // groups, geometry.C // groups, groups)
    return product + copying_cost(geometry)


def backward_filter_cost(geometry: Conv2dGeometry) -> float:
    """Of copying where there is a stride, and of multiplying."""
    pixels, groups = geometry.N * geometry.P * geometry.Q, geometry.groups
    product = costs.summed_product(geometry.C // groups, pixels, geometry.K // groups, groups)
    return product + costs.slots(geometry.C // groups * geometry.K) + copying_cost(geometry)


def copying_cost(geometry: Conv2dGeometry) -> float:
    """Of copying the pixels that a stride leaves."""
    pixels = geometry.N * geometry.P * geometry.Q if max(geometry.stride) > 1 else 0
    return costs.copy(pixels * geometry.C, geometry.N * geometry.C)


def _blocks(device: CpuDevice, geometry: Conv2dGeometry, itemsize: int) -> tuple[Block, ...]:
    return cut_pixels(
        geometry.P, geometry.Q, geometry.N, geometry.N * (geometry.C + geometry.K), itemsize, device.threads
    )


def _share(geometry: Conv2dGeometry, blocks: tuple[Block, ...]) -> Share:
    """A thread's copy of the pixels of a block, which only those at uneven distances need, and its product."""
    pixels = geometry.N * max(block.rows * block.columns for block in blocks)
    widest = max(geometry.C, geometry.K)
    return Share(0, pixels * widest, pixels * widest)


def _sum_shapes(threads: int, geometry: Conv2dGeometry, blocks: tuple[Block, ...]) -> list[Shape]:
    """Shapes of the slots' filter gradients, bias gradients and products, and of the ones that add up columns."""
    slots, rows = min(threads, len(blocks)), geometry.C // geometry.groups
    most = geometry.N * max(block.rows * block.columns for block in blocks)
    return [(slots, rows, geometry.K), (slots, geometry.K), (slots, rows + 1, geometry.K), (most,)]


def read_pixels(image: Array, geometry: Conv2dGeometry) -> Array:
    """The pixels that outputs read, (P, Q, N, C)."""
    read: Array = memory_order(image)[:: geometry.stride.rows, :: geometry.stride.columns]
    return read[: geometry.P, : geometry.Q]


def as_matrix(part: Array, patches: Array) -> Array:
    """A block as a matrix (pixels * N, channels): itself, or a copy where its pixels lie at uneven distances."""
    rows = as_rows(part)
    if rows is None:
        copy = patches[: part.size].reshape(part.shape)
        np.copyto(copy, part)
        return copy.reshape(-1, part.shape[-1])
    return rows


def clear(device: CpuDevice, image: Array) -> None:
    """Fill an image in memory order with zeros."""
    spans = split(len(image), min(len(image), device.threads))
    device.parallel(lambda index: image[slice(*spans[index])].fill(0), range(len(spans)))
