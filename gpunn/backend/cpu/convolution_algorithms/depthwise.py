"""Convolution with one filter for each channel: multiplied and added tap by tap, without a matrix product.

A product of matrices would have one column. Instead, all images and channels of a pixel are one run, multiplied with
the filters repeated for each image, and np.einsum adds the taps up in one pass over the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.cutting import cut_pixels
from gpunn.backend.cpu.convolution_algorithms.direct import add_slots
from gpunn.backend.cpu.convolution_algorithms.gather import Block, Reading, inputs, windows
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS, Phase, phases_of, read_input
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, Share, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry, Shape

Array = np.ndarray[Any, Any]

#: Runs of at least so many numbers outweigh what einsum does for each.
LONG_RUN = 512
#: Filters are repeated to at most so many numbers, which stay in a cache of the second level.
REPEATED = 1 << 16


def serves(geometry: Conv2dGeometry) -> bool:
    """Whether each channel has one filter of its own."""
    return geometry.groups == geometry.C == geometry.K


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    reading = read_input(geometry)
    cut = _cut(reading, call.x.itemsize, device.threads)
    cutter = Cutter(call.workspace, call.x.dtype)
    shares = cutter.take_shares(_share([(reading, cut)]), device.threads)
    filters = _repeat(cutter.take(*cut.filters), call.w[:, :, 0])
    pixel_bias = cutter.take(geometry.N, geometry.K)
    if call.bias is not None:
        np.copyto(pixel_bias, call.bias)
    image, result = memory_order(call.x), memory_order(call.y)

    def work(index: int) -> None:
        block = cut.blocks[index]
        part = block.of(result)
        _sum_taps(reading, block, image, shares[index % device.threads][0], filters, part)
        finish(device, part, None if call.bias is None else pixel_bias, call.activation)

    device.parallel(work, range(len(cut.blocks)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the repeated filters and bias too."""
    reading = read_input(geometry)
    cut = _cut(reading, dtype.itemsize, device.threads)
    shapes = [cut.filters, (geometry.N, geometry.K)]
    return workspace_bytes(_share([(reading, cut)]), device.threads, shapes, dtype.itemsize)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract, one phase of the stride after another."""
    geometry = call.geometry
    phases, reached = _phases(geometry, call.gx.itemsize, device.threads)
    cutter = Cutter(call.workspace, call.gx.dtype)
    shares = cutter.take_shares(_share(reached), device.threads)
    filters = [
        _repeat(cutter.take(*cut.filters), call.w[phase.taps_down, phase.taps_right, 0])
        for phase, (_, cut) in zip(phases, reached, strict=True)
    ]
    image, gx = memory_order(call.gy), memory_order(call.gx)
    targets = [gx[phase.row :: geometry.stride.rows, phase.column :: geometry.stride.columns] for phase in phases]
    if not call.accumulate and len(phases) < geometry.stride.rows * geometry.stride.columns:
        gx.fill(0)
    work_of = [(place, block) for place, (_, cut) in enumerate(reached) for block in cut.blocks]

    def work(index: int) -> None:
        place, block = work_of[index]
        window, _, product = shares[index % device.threads]
        part = block.of(targets[place])
        if not call.accumulate:
            _sum_taps(reached[place][0], block, image, window, filters[place], part)
            return
        added = product[: part.size].reshape(part.shape)
        _sum_taps(reached[place][0], block, image, window, filters[place], added)
        np.add(part, added, out=part)

    device.parallel(work, range(len(work_of)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: the repeated filters of each phase too."""
    _, reached = _phases(geometry, dtype.itemsize, device.threads)
    return workspace_bytes(_share(reached), device.threads, [cut.filters for _, cut in reached], dtype.itemsize)


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract: sums over pixels, block by block, then over images."""
    geometry = call.geometry
    reading = read_input(geometry)
    cut = _cut(reading, call.gw.itemsize, device.threads)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(_share([(reading, cut)]), device.threads)
    sums, products, ends = (cutter.take(*shape) for shape in _sum_shapes(device.threads, geometry, cut))
    image, gradients = memory_order(call.x), memory_order(call.gy)
    slots = split(len(cut.blocks), len(sums))
    along_row = cut.filters[2] > 1
    axes = "qnc" if along_row else "nc"

    def work(slot: int) -> None:
        sums[slot].fill(0)
        filters, biases = products[slot, :-1].reshape(cut.filters), products[slot, -1]
        for block in cut.blocks[slice(*slots[slot])]:
            gradient = block.of(gradients)
            read = windows(reading, block, inputs(reading, block, image, shares[slot % device.threads][0]))[..., 0]
            np.einsum(f"pqncrs,pqnc->rs{axes}", read, gradient, out=filters if along_row else filters[:, :, 0])
            if call.gbias is not None:
                np.einsum(f"pqnc->{axes}", gradient, out=biases if along_row else biases[0])
            np.add(sums[slot], products[slot], out=sums[slot])
        np.add.reduce(sums[slot], axis=(1, 2), out=ends[slot])

    if call.gbias is None:
        products[:, -1] = 0
    device.parallel(work, range(len(slots)))
    add_slots(device, call.gw.reshape(-1), ends[:, :-1].reshape(len(slots), -1), call.accumulate)
    if call.gbias is not None:
        add_slots(device, call.gbias, ends[:, -1], call.accumulate)


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes: each slot has sums of its own, for each image, and the products of a block."""
    reading = read_input(geometry)
    cut = _cut(reading, dtype.itemsize, device.threads)
    shapes = _sum_shapes(device.threads, geometry, cut)
    return workspace_bytes(_share([(reading, cut)]), device.threads, shapes, dtype.itemsize)


def cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying and adding, which all three passes do alike."""
    return costs.MULTIPLIED_ADDED * geometry.flops / 2


def backward_data_flops(geometry: Conv2dGeometry) -> int:
    """Two for each pixel of gx and each tap of its phase."""
    phases = [phase for phase in phases_of(geometry) if phase.reading is not None]
    taps = sum(phase.rows * phase.columns * phase.reading.depth for phase in phases if phase.reading is not None)
    return 2 * geometry.N * geometry.C * taps


@dataclass(frozen=True)
class _Cut:
    """The blocks of a pass, and the shape of its repeated filters: (R, S, Q or 1, N, C)."""

    blocks: tuple[Block, ...]
    filters: Shape


@lru_cache(PLANS)
def _cut(reading: Reading, itemsize: int, threads: int) -> _Cut:
    """Filters are repeated along a row too where a pixel is a short run and the pixels of a row are neighbours."""
    run, taps = reading.N * reading.C, reading.rows.taps * reading.columns.taps
    P, Q = reading.rows.outputs, reading.columns.outputs
    blocks = cut_pixels(P, Q, reading.N, 3 * run, itemsize, threads, least_matrix_rows=1)
    whole_rows = all(block.columns == Q for block in blocks)
    short = run < LONG_RUN and whole_rows and reading.columns.stride == 1 and taps * Q * run <= REPEATED
    return _Cut(blocks, (reading.rows.taps, reading.columns.taps, Q if short else 1, reading.N, reading.C))


def _phases(geometry: Conv2dGeometry, itemsize: int, threads: int) -> tuple[list[Phase], list[tuple[Reading, _Cut]]]:
    """The phases that a tap reaches, and what each reads."""
    phases = [phase for phase in phases_of(geometry) if phase.reading is not None]
    readings = [phase.reading for phase in phases if phase.reading is not None]
    return phases, [(reading, _cut(reading, itemsize, threads)) for reading in readings]


def _share(reached: list[tuple[Reading, _Cut]]) -> Share:
    """A thread's copy of what a block reads, and its result."""
    window = max((reading.window_size(block) for reading, cut in reached for block in cut.blocks), default=0)
    pixels = (block.rows * block.columns * reading.N * reading.C for reading, cut in reached for block in cut.blocks)
    return Share(window, 0, max(pixels, default=0))


def _repeat(repeated: Array, w: Array) -> Array:
    """Filters (R, S, C) for each image, and each pixel of a row."""
    np.copyto(repeated, w[:, :, None, None, :])
    return repeated


def _sum_taps(reading: Reading, block: Block, image: Array, window: Array, filters: Array, out: Array) -> None:
    """out[p, q, n, c] = the sum over taps of what the pixels of a block read times the filters."""
    read: Array = windows(reading, block, inputs(reading, block, image, window))[..., 0]
    rows = _as_rows(read), _as_rows(out)
    if filters.shape[2] == 1 or rows[0] is None or rows[1] is None:
        repeated = np.broadcast_to(filters, (*filters.shape[:2], block.columns, *filters.shape[3:]))
        np.einsum("pqncrs,rsqnc->pqnc", read, repeated, out=out)
    else:
        # Left to itself, einsum takes the pixels of a row, as far apart as taps are, for the inner axis: a fifth of
        # the speed.
        np.einsum("pirs,rsi->pi", rows[0], filters.reshape(*filters.shape[:2], -1), out=rows[1])


def _as_rows(pixels: Array) -> Array | None:
    """(rows, columns, N, C, ...) as (rows, columns * N * C, ...); None where a row does not lie in one piece."""
    expected = pixels.itemsize
    for axis in (3, 2, 1):
        if pixels.shape[axis] > 1 and pixels.strides[axis] != expected:
            return None
        expected *= pixels.shape[axis]
    shape = (len(pixels), expected // pixels.itemsize, *pixels.shape[4:])
    return as_strided(pixels, shape, (pixels.strides[0], pixels.itemsize, *pixels.strides[4:]))


def _sum_shapes(threads: int, geometry: Conv2dGeometry, cut: _Cut) -> list[Shape]:
    """Shapes of the slots' sums, with a last row for the bias; of the products of a block; and of the sums' sums."""
    slots, rows = min(threads, len(cut.blocks)), geometry.R * geometry.S + 1
    return [(slots, rows, *cut.filters[2:])] * 2 + [(slots, rows, geometry.C)]
