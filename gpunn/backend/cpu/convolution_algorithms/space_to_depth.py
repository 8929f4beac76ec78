"""Strided convolution as one of stride 1: s x s pixels of the image become one pixel of s * s as many channels.

Filters of few channels and many taps, such as the first of AlexNet (11x11, stride 4), read short runs; rearranged
("sub-pixel" or "space-to-depth" order, here of image and filters both, the filters padded with zero taps to whole
blocks), they are filters of few taps and many channels, and no pixel is copied more than ceil(R / s) * ceil(S / s)
times. Another algorithm then convolves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import Any, Concatenate, NamedTuple

import numpy as np

from gpunn.arena import ALIGNMENT, align
from gpunn.backend.contract import DType
from gpunn.backend.cpu.convolution_algorithms import costs
from gpunn.backend.cpu.convolution_algorithms.algorithm import (
    Algorithm,
    BackwardDataCall,
    BackwardFilterCall,
    Call,
    ForwardCall,
)
from gpunn.backend.cpu.convolution_algorithms.cutting import cut_rows
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS
from gpunn.backend.cpu.convolution_algorithms.workspace import Cutter
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.geometry import Conv2dGeometry, Padding, Pair

Array = np.ndarray[Any, Any]


def serves(geometry: Conv2dGeometry) -> bool:
    """Whether it strides, without dilation or groups, by filters of several blocks."""
    stride = geometry.stride
    several = stride.rows < geometry.R and stride.columns < geometry.S
    return several and max(stride) > 1 and max(geometry.dilation) == 1 and geometry.groups == 1


@lru_cache(PLANS)
def rearranged(geometry: Conv2dGeometry) -> Conv2dGeometry:
    """The convolution of the rearranged image, which holds the padding too."""
    rows, columns = geometry.stride
    R, S = -(-geometry.R // rows), -(-geometry.S // columns)
    return replace(
        geometry,
        H=geometry.P + R - 1,
        W=geometry.Q + S - 1,
        C=geometry.C * rows * columns,
        R=R,
        S=S,
        stride=Pair(1, 1),
        padding=Padding(0, 0, 0, 0),
    )


def forward(device: CpuDevice, call: ForwardCall, through: Algorithm[ForwardCall]) -> None:
    """convolution2d_forward of the contract."""
    arrays = _Arrays(call.geometry, call.workspace, call.x.dtype)
    arrays.gather(device, call.x)
    arrays.gather_filters(call.w)
    through.run(
        device, replace(call, x=arrays.x, w=arrays.w, geometry=rearranged(call.geometry), workspace=arrays.rest)
    )


def backward_data(device: CpuDevice, call: BackwardDataCall, through: Algorithm[BackwardDataCall]) -> None:
    """convolution2d_backward_data of the contract."""
    arrays = _Arrays(call.geometry, call.workspace, call.gx.dtype)
    arrays.gather_filters(call.w)
    inner = replace(call, gx=arrays.x, w=arrays.w, geometry=rearranged(call.geometry), accumulate=False)
    through.run(device, replace(inner, workspace=arrays.rest))
    arrays.scatter(device, call.gx, call.accumulate)


def backward_filter(device: CpuDevice, call: BackwardFilterCall, through: Algorithm[BackwardFilterCall]) -> None:
    """convolution2d_backward_filter of the contract."""
    arrays = _Arrays(call.geometry, call.workspace, call.gw.dtype)
    arrays.gather(device, call.x)
    if call.accumulate:
        arrays.gather_filters(call.gw)
    inner = replace(call, x=arrays.x, gw=arrays.w, geometry=rearranged(call.geometry), workspace=arrays.rest)
    through.run(device, inner)
    arrays.scatter_filters(call.gw)


def cost(geometry: Conv2dGeometry, through: Algorithm[Any]) -> float:
    """Of rearranging in runs of C, and of the other algorithm."""
    image, filters = _sizes(geometry)
    return costs.copy(image, geometry.C) + costs.copy(filters, geometry.K) + through.cost(rearranged(geometry))


def flops(geometry: Conv2dGeometry, through: Algorithm[Any]) -> int:
    """Of the other algorithm."""
    return through.flops(rearranged(geometry))


def workspace(device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, through: Algorithm[Any]) -> int:
    """Bytes: the image and the filters in their new order, and what the other algorithm needs."""
    own = dtype.itemsize * sum(align(size, ALIGNMENT) for size in _sizes(geometry))
    return own + through.workspace(device, rearranged(geometry), dtype)


def rearranging(
    algorithms: Iterable[Algorithm[Call]], run: Callable[Concatenate[CpuDevice, Call, ...], None]
) -> Iterator[Algorithm[Call]]:
    """Each of these algorithms, of the image and the filters rearranged.

    Args:
        algorithms: of one primitive.
        run: this file's function for that primitive; it takes the algorithm as its argument `through`.
    """
    for through in algorithms:
        yield Algorithm(
            name="space-to-depth" if through.exact else f"space-to-depth, {through.name}",
            run=partial(run, through=through),
            workspace=partial(workspace, through=through),
            cost=partial(cost, through=through),
            serves=partial(_serves_through, through=through),
            accepts=through.accepts,
            flops=partial(flops, through=through),
            exact=through.exact,
        )


def _serves_through(geometry: Conv2dGeometry, through: Algorithm[Any]) -> bool:
    return serves(geometry) and through.serves(rearranged(geometry))


def _sizes(geometry: Conv2dGeometry) -> tuple[int, int]:
    inner = rearranged(geometry)
    return inner.N * inner.H * inner.W * inner.C, inner.R * inner.S * inner.C * inner.K


class _Lines(NamedTuple):
    """Rows or columns of an image: those at one place of their blocks, and the blocks."""

    pixels: slice
    blocks: slice


def _lines(place: int, extent: int, before: int, stride: int, first: int, stop: int) -> _Lines:
    """Pixel h lies at place (h + before) % stride of block (h + before) // stride; of those, blocks first to stop."""
    low = max(first, -(-(before - place) // stride))
    high = max(low, min(stop, -(-(extent + before - place) // stride)))
    start = low * stride + place - before
    return _Lines(slice(start, start + (high - low) * stride, stride), slice(low, high))


class _Arrays:
    """The rearranged image and filters in a workspace, and the copies between them and their originals."""

    def __init__(self, geometry: Conv2dGeometry, workspace: Array, dtype: DType) -> None:
        inner = rearranged(geometry)
        cutter = Cutter(workspace, dtype)
        image = cutter.take(inner.H, inner.W, inner.N, inner.C)
        self.x = image.transpose(2, 0, 1, 3)
        self.w = cutter.take(*inner.filter_shape)
        self.rest = workspace[dtype.itemsize * sum(align(size, ALIGNMENT) for size in _sizes(geometry)) :]
        self._geometry = geometry
        self._blocks = image.reshape(inner.H, inner.W, inner.N, *geometry.stride, geometry.C)
        self._taps = self.w.reshape(inner.R, inner.S, *geometry.stride, geometry.C, geometry.K)

    def gather(self, device: CpuDevice, x: Array) -> None:
        """Fill in the image."""
        image, blocks = memory_order(x), self._blocks

        def work(first: int, stop: int) -> None:
            blocks[first:stop].fill(0)
            for (down, across), rows, columns in self._places(first, stop):
                np.copyto(blocks[rows.blocks, columns.blocks, :, down, across], image[rows.pixels, columns.pixels])

        self._for_rows(device, work)

    def scatter(self, device: CpuDevice, gx: Array, accumulate: bool) -> None:
        """gx = the image, or gx += it."""
        image, blocks = memory_order(gx), self._blocks
        if not accumulate:
            # Some pixels may be read by no filter.
            image.fill(0)

        def work(first: int, stop: int) -> None:
            for (down, across), rows, columns in self._places(first, stop):
                part = image[rows.pixels, columns.pixels]
                np.add(part, blocks[rows.blocks, columns.blocks, :, down, across], out=part)

        self._for_rows(device, work)

    def gather_filters(self, w: Array) -> None:
        """Fill in the filters."""
        self._taps.fill(0)
        for part, taps in self._filter_places(w):
            np.copyto(taps, part)

    def scatter_filters(self, gw: Array) -> None:
        """gw = the filters."""
        for part, taps in self._filter_places(gw):
            np.copyto(part, taps)

    def _filter_places(self, w: Array) -> Iterator[tuple[Array, Array]]:
        """The taps at each place of their blocks, of (R, S, C, K) and of the rearranged filters."""
        rows, columns = self._geometry.stride
        for down, across in product(range(rows), range(columns)):
            part = w[down::rows, across::columns]
            yield part, self._taps[: part.shape[0], : part.shape[1], down, across]

    def _places(self, first: int, stop: int) -> Iterator[tuple[tuple[int, int], _Lines, _Lines]]:
        """Each place of a block, and its rows and columns in these rows of blocks."""
        geometry = self._geometry
        (rows, columns), padding = geometry.stride, geometry.padding
        for down, across in product(range(rows), range(columns)):
            yield (
                (down, across),
                _lines(down, geometry.H, padding.top, rows, first, stop),
                _lines(across, geometry.W, padding.left, columns, 0, self._blocks.shape[1]),
            )

    def _for_rows(self, device: CpuDevice, work: Callable[[int, int], None]) -> None:
        spans = cut_rows(len(self._blocks), self._blocks[0].size, device.threads)
        device.parallel(lambda index: work(*spans[index]), range(len(spans)))
