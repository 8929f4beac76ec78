"""Convolution of small maps: for each tap, one product of the pixels that it reads, added up.

On a map of 2x2 pixels, five of the nine taps of a 3x3 filter read padding, and of a map of one pixel eight; a matrix
of patches would multiply those zeros. Threads share filters (forward), channels (backward-data) or taps
(backward-filter), so that each reads only its own part of the filters, which here outweigh the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, Call, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.gather import as_rows
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS, read_input
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter, Share, workspace_bytes
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]

#: A product of fewer columns leaves lanes of the processor's vectors idle.
LEAST_COLUMNS = 32


class Tap(NamedTuple):
    """A tap that meets the image: the outputs that read by it, and the pixels that they read."""

    r: int
    s: int
    outputs: tuple[slice, slice]
    pixels: tuple[slice, slice]
    pixels_met: int


@dataclass(frozen=True)
class _Taps:
    """Those that meet the image, the most pixels that one reads, and the pixels of all."""

    taps: tuple[Tap, ...]
    most: int
    total: int


def serves(geometry: Conv2dGeometry) -> bool:
    """Whether there is one group, and a filter of several taps."""
    return geometry.groups == 1 and geometry.R * geometry.S > 1


def accepts(call: Call) -> bool:
    """Whether the channels of a pixel are neighbours, as the BLAS wants them."""
    return all(image.shape[-1] == 1 or image.strides[-1] == image.itemsize for image in call.images)


def forward(device: CpuDevice, call: ForwardCall) -> None:
    """convolution2d_forward of the contract."""
    geometry = call.geometry
    x, y = memory_order(call.x), memory_order(call.y)
    spans = _spans(geometry.K, device.threads)
    shares = Cutter(call.workspace, call.x.dtype).take_shares(_share(geometry, geometry.C, spans), device.threads)

    def work(index: int) -> None:
        filters = slice(*spans[index])
        part = y[..., filters]
        _, copy, product = shares[index % device.threads]
        part.fill(0)
        for tap in reaching(geometry).taps:
            _add_product(part[tap.outputs], x[tap.pixels], call.w[tap.r, tap.s, :, filters], copy, product)
        finish(device, part, None if call.bias is None else call.bias[filters], call.activation)

    device.parallel(work, range(len(spans)))


def forward_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    share = _share(geometry, geometry.C, _spans(geometry.K, device.threads))
    return workspace_bytes(share, device.threads, [], dtype.itemsize)


def backward_data(device: CpuDevice, call: BackwardDataCall) -> None:
    """convolution2d_backward_data of the contract."""
    geometry = call.geometry
    gx, gy = memory_order(call.gx), memory_order(call.gy)
    spans = _spans(geometry.C, device.threads)
    shares = Cutter(call.workspace, call.gx.dtype).take_shares(_share(geometry, geometry.K, spans), device.threads)

    def work(index: int) -> None:
        channels = slice(*spans[index])
        part = gx[..., channels]
        _, copy, product = shares[index % device.threads]
        if not call.accumulate:
            part.fill(0)
        for tap in reaching(geometry).taps:
            _add_product(part[tap.pixels], gy[tap.outputs], call.w[tap.r, tap.s, channels].T, copy, product)

    device.parallel(work, range(len(spans)))


def backward_data_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    share = _share(geometry, geometry.K, _spans(geometry.C, device.threads))
    return workspace_bytes(share, device.threads, [], dtype.itemsize)


def backward_filter(device: CpuDevice, call: BackwardFilterCall) -> None:
    """convolution2d_backward_filter of the contract: each tap has a product of its own, to be written or added."""
    geometry = call.geometry
    x, gy = memory_order(call.x), memory_order(call.gy)
    cutter = Cutter(call.workspace, call.gw.dtype)
    shares = cutter.take_shares(_filter_share(geometry), device.threads)
    taps = {(tap.r, tap.s): tap for tap in reaching(geometry).taps}
    bias_sums = cutter.take(geometry.P, geometry.K)

    def work(index: int) -> None:
        if index == geometry.R * geometry.S:
            _sum_bias(call, gy, bias_sums)
            return
        place = divmod(index, geometry.S)
        part = call.gw[place]
        if place not in taps:
            if not call.accumulate:
                part.fill(0)
            return
        tap = taps[place]
        read, gradient, product = shares[index % device.threads]
        pixels = _copied(x[tap.pixels], read).T
        if not call.accumulate:
            np.matmul(pixels, _copied(gy[tap.outputs], gradient), out=part)
            return
        added = product[: part.size].reshape(part.shape)
        np.matmul(pixels, _copied(gy[tap.outputs], gradient), out=added)
        np.add(part, added, out=part)

    device.parallel(work, range(geometry.R * geometry.S + (call.gbias is not None)))


def backward_filter_workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType) -> int:
    """Bytes of scratch."""
    return workspace_bytes(_filter_share(geometry), device.threads, [(geometry.P, geometry.K)], dtype.itemsize)


def forward_cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying what meets the image, and of adding the products."""
    return _cost(geometry, geometry.C, geometry.K, costs.PACKED, geometry.stride.columns)


def backward_data_cost(geometry: Conv2dGeometry) -> float:
    """Of multiplying what meets the image by filters that lie the other way, and of adding the products."""
    return _cost(geometry, geometry.K, geometry.C, costs.PACKED_ACROSS, 1)


def backward_filter_cost(geometry: Conv2dGeometry) -> float:
    """Of copying what each tap meets, and of multiplying it."""
    reached, channels = reaching(geometry), geometry.C + geometry.K
    met = geometry.N * reached.total
    copying = costs.copy(met * channels, geometry.N * channels)
    copying += costs.far(met * channels, reached.most * geometry.N * channels)
    calls = 3 * costs.CALL * len(reached.taps)
    return calls + copying + costs.summed_product(geometry.C, met, geometry.K)


def _cost(geometry: Conv2dGeometry, read: int, written: int, packing: float, stride: int) -> float:
    """Of `_add_product` for every tap; each thread packs its own part of the filters, and every pixel.

    Args:
        read, written: channels.
        packing: of a number of the filters.
        stride: of the columns that are read.
    """
    reached, spans = reaching(geometry), _spans(written, costs.SHARES)
    met, columns = geometry.N * reached.total, written // len(spans)
    matrices, copied = 0, 0
    for tap in reached.taps:
        rows = len(range(geometry.P)[tap.outputs[0]])
        along = stride == 1 and tap.pixels_met // rows * geometry.N >= columns
        matrices += rows if along else 1
        copied += 0 if along else tap.pixels_met * geometry.N * read
    at_a_time = reached.most * geometry.N * columns * costs.SHARES
    adding = costs.ADDED * met * written + costs.far(met * written, at_a_time)
    pixels = len(spans) * (costs.copy(copied, geometry.N * read) + costs.PACKED * met * read)
    filters = matrices * read * written
    multiplying = costs.product(met, read, written) + packing * filters
    multiplying += costs.far(len(reached.taps) * read * written, len(reached.taps) * read * written)
    alone = costs.SHARES / len(spans)
    return 3 * costs.CALL * len(reached.taps) + pixels + alone * (multiplying + adding)


def flops(geometry: Conv2dGeometry) -> int:
    """Two for each multiply-add: those that meet the image."""
    return 2 * geometry.N * reaching(geometry).total * geometry.C * geometry.K


@lru_cache(PLANS)
def reaching(geometry: Conv2dGeometry) -> _Taps:
    """The taps that meet the image."""
    taps = tuple(_reaching(geometry))
    return _Taps(taps, max((tap.pixels_met for tap in taps), default=0), sum(tap.pixels_met for tap in taps))


def _reaching(geometry: Conv2dGeometry) -> Iterator[Tap]:
    reading = read_input(geometry)
    for r in range(geometry.R):
        p, rows = reading.rows.reaching(r, 0, geometry.H)
        for s in range(geometry.S):
            q, columns = reading.columns.reaching(s, 0, geometry.W)
            count = len(range(geometry.P)[p]) * len(range(geometry.Q)[q])
            if count:
                yield Tap(r, s, (p, q), (rows, columns), count)


def _spans(channels: int, threads: int) -> list[tuple[int, int]]:
    return split(channels, max(1, min(threads, channels // LEAST_COLUMNS)))


def _share(geometry: Conv2dGeometry, read: int, spans: list[tuple[int, int]]) -> Share:
    """A copy of the pixels that a tap reads, of `read` channels, and their product."""
    widest = max(stop - first for first, stop in spans)
    pixels = reaching(geometry).most * geometry.N
    return Share(0, pixels * read, pixels * widest)


def _filter_share(geometry: Conv2dGeometry) -> Share:
    """Copies of the pixels that a tap reads and of their gradients, and a product that is to be added."""
    pixels = reaching(geometry).most * geometry.N
    return Share(pixels * geometry.C, pixels * geometry.K, geometry.C * geometry.K)


def _add_product(part: Array, read: Array, filters: Array, copy: Array, scratch: Array) -> None:
    """part += read @ filters, of pixels (rows, columns, N, channels)."""
    product = scratch[: part.size].reshape(part.shape)
    if read.strides[1] == read.shape[2] * read.strides[2] and read.shape[1] * read.shape[2] >= filters.shape[1]:
        # One matrix a row, whose pixels are neighbours: copying them costs more than packing the filters for each.
        rows = len(read)
        np.matmul(read.reshape(rows, -1, read.shape[-1]), filters, out=product.reshape(rows, -1, product.shape[-1]))
    else:
        matrix = as_rows(read)
        matrix = _copied(read, copy) if matrix is None else matrix
        np.matmul(matrix, filters, out=product.reshape(-1, product.shape[-1]))
    np.add(part, product, out=part)


def _copied(part: Array, scratch: Array) -> Array:
    """A rectangle of pixels as one matrix (pixels * N, channels)."""
    copy = scratch[: part.size].reshape(part.shape)
    np.copyto(copy, part)
    return copy.reshape(-1, part.shape[-1])


def _sum_bias(call: BackwardFilterCall, gy: Array, sums: Array) -> None:
    """gbias = the sum of gy, row by row, or gbias += it."""
    if call.gbias is None:
        return
    np.einsum("pqnk->pk", gy, out=sums)
    if call.accumulate:
        np.add(sums[0], call.gbias, out=sums[0])
    np.add.reduce(sums, axis=0, out=call.gbias)
