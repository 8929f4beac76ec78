"""Pooling over windows by maximum and mean, and the mean over a whole image.

All places of the windows are one view of the image (shared/windows.py), so a pooling is a few NumPy calls on arrays
whose inner runs are N * C long.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block
from gpunn.backend.cpu.shared.windows import (
    WindowBlock,
    output_blocks,
    pixel_blocks,
    record_first_places,
    reduce_windows,
    window_work,
    windows,
)
from gpunn.geometry import Pool2dGeometry


def maximum_pool2d_forward(
    device: CpuDevice, y: Array, argmax: Array | None, x: Array, geometry: Pool2dGeometry
) -> None:
    """The largest of each window, and in `argmax` its place r * S + s, the first one on a tie.

    A window that holds NaN gives NaN; its place is then the last in the image.

    Args:
        device: the CPU.
        y: (N, P, Q, C).
        argmax: (N, P, Q, C), uint8 for windows of up to 256 places, else int32; None when no backward pass follows.
        x: (N, H, W, C).
        geometry: windows, stride and padding.
    """
    x, y = memory_order(x), memory_order(y)
    places = None if argmax is None else memory_order(argmax)

    def work(block: WindowBlock) -> None:
        largest = y[block.area]
        reduce_windows(np.maximum, largest, windows(x, block))
        if places is not None:
            record_first_places(device, places[block.area], largest, x, block)

    for_each_block(device, work, output_blocks(geometry, device.threads), window_work(geometry))


def maximum_pool2d_backward(
    device: CpuDevice, gx: Array, gy: Array, argmax: Array, geometry: Pool2dGeometry, accumulate: bool
) -> None:
    """gx (N, H, W, C): each element of gy (N, P, Q, C) goes to the place that `argmax` names.

    The gradient is selected by its bits, so an infinite one leaves the other pixels at zero.
    """
    integer = np.dtype(f"i{gy.dtype.itemsize}")
    gx, gy, places = memory_order(gx), memory_order(gy), memory_order(argmax)
    gx_bits, gy_bits = gx.view(integer), gy.view(integer)

    def work(block: WindowBlock) -> None:
        if not block.numbers.size:
            _add_windows(device, gx[block.area], None, accumulate)
            return
        named = windows(places, block)
        hits = device.scratch(0, named.shape, np.bool_)
        np.equal(named, block.numbers, out=hits)
        chosen = device.scratch(1, named.shape, integer)
        np.copyto(chosen, hits)
        gradients = windows(gy_bits, block)
        if block.numbers.size == 1 and not accumulate:
            np.multiply(gradients[0, 0], chosen[0, 0], out=gx_bits[block.area])
        else:
            np.multiply(gradients, chosen, out=chosen)
            _add_windows(device, gx[block.area], chosen.view(gx.dtype), accumulate)

    for_each_block(device, work, pixel_blocks(geometry, device.threads), window_work(geometry))


def _add_windows(device: CpuDevice, target: Array, shares: Array | None, accumulate: bool) -> None:
    """target = the sum of what each window gives, or += it; no shares where no window holds a pixel."""
    if shares is None:
        if not accumulate:
            target.fill(0)
    elif shares.shape[:2] == (1, 1):
        if accumulate:
            np.add(target, shares[0, 0], out=target)
        else:
            np.copyto(target, shares[0, 0])
    elif accumulate:
        total = device.scratch(2, target.shape, target.dtype)
        np.add.reduce(shares, axis=(0, 1), out=total)
        np.add(target, total, out=target)
    else:
        np.add.reduce(shares, axis=(0, 1), out=target)


def mean_pool2d_forward(device: CpuDevice, y: Array, x: Array, geometry: Pool2dGeometry) -> None:
    """y (N, P, Q, C): the mean over the pixels of each window of x (N, H, W, C) that lie in the image."""
    x, y = memory_order(x), memory_order(y)

    def work(block: WindowBlock) -> None:
        total = y[block.area]
        reduce_windows(np.add, total, windows(x, block))
        np.divide(total, y.dtype.type(block.numbers.size), out=total)

    for_each_block(device, work, output_blocks(geometry, device.threads), window_work(geometry))


@lru_cache(maxsize=256)
def _pixels_in_windows(geometry: Pool2dGeometry, dtype: DType) -> Array:
    """How many pixels of the image each window holds: (P, Q, 1, 1)."""
    counts = np.zeros((geometry.P, geometry.Q, 1, 1), dtype)
    for block in output_blocks(geometry, 1):
        counts[block.area] = block.numbers.size
    return counts


def mean_pool2d_backward(device: CpuDevice, gx: Array, gy: Array, geometry: Pool2dGeometry, accumulate: bool) -> None:
    """gx (N, H, W, C): gy (N, P, Q, C) divided by the number of pixels of its window, to each of them."""
    gx, gy = memory_order(gx), memory_order(gy)
    counts = _pixels_in_windows(geometry, gy.dtype)

    def work(block: WindowBlock) -> None:
        target = gx[block.area]
        if not block.numbers.size:
            _add_windows(device, target, None, accumulate)
            return
        # Windows that touch the block: their shares are computed once, then read by every pixel.
        (top, left), places = block.origin, block.numbers.shape
        touching = np.s_[top : top + block.extents[0] + places[0] - 1, left : left + block.extents[1] + places[1] - 1]
        if block.numbers.size == 1 and not accumulate:
            np.divide(gy[touching], counts[touching], out=target)
            return
        shares = device.scratch(0, gy[touching].shape, gy.dtype)
        np.divide(gy[touching], counts[touching], out=shares)
        _add_windows(device, target, windows(shares, block._replace(origin=(0, 0))), accumulate)

    for_each_block(device, work, pixel_blocks(geometry, device.threads), window_work(geometry))


def global_mean_pool2d_forward(device: CpuDevice, y: Array, x: Array) -> None:
    """y (N, C) = the mean of x (N, H, W, C) over all rows and columns."""
    _, H, W, C = x.shape
    x = memory_order(x)

    def work(index: Index) -> None:
        images = x[:, :, index[0]]
        columns = device.scratch(0, images.shape[1:], y.dtype)
        # Rows first, then columns: H + W roundings in a sum instead of H * W.
        np.add.reduce(images, axis=0, out=columns)
        mean = y[index]
        np.add.reduce(columns, axis=0, out=mean)
        np.divide(mean, y.dtype.type(H * W), out=mean)

    for_each_block(device, work, blocks((y.shape[0],), H * W * C), x.size)


def global_mean_pool2d_backward(device: CpuDevice, gx: Array, gy: Array, accumulate: bool) -> None:
    """gx (N, H, W, C) = gy (N, C) / (H W) at every pixel."""
    _, H, W, _ = gx.shape
    gx = memory_order(gx)
    shares = device.scratch(0, gy.shape, gx.dtype)
    np.divide(gy, gx.dtype.type(H * W), out=shares)

    def work(index: Index) -> None:
        target = gx[index]
        if accumulate:
            np.add(target, shares, out=target)
        else:
            np.copyto(target, shares)

    for_each_block(device, work, blocks((H, W), gy.size), gx.size)
