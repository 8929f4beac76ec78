"""Pooling over windows by the median.

The pixels of all windows of a block are gathered place by place and ordered by a network of exchanges, each a
minimum and a maximum over whole arrays. A NaN spoils both sides of an exchange, and every result of a sorting
network is reached from every input, so a window that holds NaN gives NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gpunn.arena import align
from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cpu.device import ALIGNMENT, CpuDevice, memory_order
from gpunn.backend.cpu.pooling import maximum_pool2d_backward
from gpunn.backend.cpu.shared.blocks import for_each_block
from gpunn.backend.cpu.shared.windows import (
    WindowBlock,
    output_blocks,
    place_dtype,
    record_first_places,
    window_work,
    windows,
)
from gpunn.geometry import Pool2dGeometry


def _middle(count: int) -> tuple[int, int]:
    """The two middle ranks of `count` values; the same rank twice when the count is odd."""
    return (count - 1) // 2, count // 2


@lru_cache(maxsize=256)
def _exchanges_to_median(count: int) -> tuple[tuple[int, int], ...]:
    """Pairs (low, high) to be put in order, one after another, until the middle ranks hold their values.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, 5.2.2, algorithm M), without the
    exchanges that no middle rank depends on.
    """
    top = 1 << max(0, (count - 1).bit_length() - 1)
    exchanges = []
    p = top
    while count > 1 and p > 0:
        q, r, distance = top, 0, p
        while True:
            exchanges += [(low, low + distance) for low in range(count - distance) if low & p == r]
            if q == p:
                break
            distance, q, r = q - p, q // 2, p
        p //= 2
    wanted = set(_middle(count))
    kept = []
    for low, high in reversed(exchanges):
        if low in wanted or high in wanted:
            wanted |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))


def _middle_values(device: CpuDevice, x: Array, block: WindowBlock) -> tuple[Array, Array]:
    """The two middle values of every window of a block, in scratch memory."""
    count = block.numbers.size
    pixels = windows(x, block)
    memory = device.scratch(1, (count + 1, *pixels.shape[2:]), x.dtype)
    np.copyto(memory[:count].reshape(pixels.shape), pixels)
    lanes, spare = list(memory[:count]), memory[count]
    for low, high in _exchanges_to_median(count):
        np.minimum(lanes[low], lanes[high], out=spare)
        np.maximum(lanes[low], lanes[high], out=lanes[high])
        lanes[low], spare = spare, lanes[low]
    lower, upper = _middle(count)
    return lanes[lower], lanes[upper]


def median_pool2d_forward(device: CpuDevice, y: Array, x: Array, geometry: Pool2dGeometry, workspace: Memory) -> None:
    """y (N, P, Q, C): the median over the pixels of each window of x (N, H, W, C) that lie in the image.

    Of an even number of pixels it is the mean of the two middle values.
    """
    x, y = memory_order(x), memory_order(y)

    def work(block: WindowBlock) -> None:
        lower, upper = _middle_values(device, x, block)
        median = y[block.area]
        if block.numbers.size % 2:
            np.copyto(median, lower)
        else:
            # Halved before they are added, so that the sum of two large values stays finite.
            half = y.dtype.type(0.5)
            np.multiply(lower, half, out=lower)
            np.multiply(upper, half, out=upper)
            np.add(lower, upper, out=median)

    for_each_block(device, work, output_blocks(geometry, device.threads), window_work(geometry))


def median_pool2d_forward_workspace(device: CpuDevice, geometry: Pool2dGeometry, dtype: DType) -> int:
    """Bytes of scratch: none, windows are ordered in pieces that fit a cache."""
    return 0


def median_pool2d_backward(
    device: CpuDevice, gx: Array, gy: Array, x: Array, geometry: Pool2dGeometry, accumulate: bool, workspace: Memory
) -> None:
    """gx (N, H, W, C): half of gy (N, P, Q, C) goes to each of the two middle pixels, found anew from x.

    Of equal pixels the first in the order (r, s) takes the half, so where both middle values are the same, or the
    number of pixels is odd, one pixel takes all.
    """
    places = place_dtype(geometry)
    one = device.size_of(geometry.output_shape, places, "images")
    lower_places, upper_places = (
        device.view(workspace, offset, geometry.output_shape, places, "images") for offset in (0, one)
    )
    halves = device.view(workspace, 2 * one, geometry.output_shape, gy.dtype, "images")
    image, gradient = memory_order(x), memory_order(gy)
    lower, upper, half = memory_order(lower_places), memory_order(upper_places), memory_order(halves)

    def work(block: WindowBlock) -> None:
        middle = _middle_values(device, image, block)
        for places, values in zip((lower, upper), middle, strict=True):
            record_first_places(device, places[block.area], values, image, block)
        np.multiply(gradient[block.area], gy.dtype.type(0.5), out=half[block.area])

    for_each_block(device, work, output_blocks(geometry, device.threads), window_work(geometry))
    maximum_pool2d_backward(device, gx, halves, lower_places, geometry, accumulate)
    maximum_pool2d_backward(device, gx, halves, upper_places, geometry, True)


def median_pool2d_backward_workspace(device: CpuDevice, geometry: Pool2dGeometry, dtype: DType) -> int:
    """Bytes of scratch: the places of both middle values, and half the gradient."""
    shape = geometry.output_shape
    places = device.size_of(shape, place_dtype(geometry), "images")
    return align(2 * places + device.size_of(shape, dtype, "images"), ALIGNMENT)
