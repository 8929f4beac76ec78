"""Pooling over windows by maximum and mean, and the mean over a whole image.

Each place of the window is one slice of the image (shared/windows.py), so a pooling is a few elementwise operations on
slices whose inner runs are N * C long.
"""

from __future__ import annotations

import numpy as np

from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block
from gpunn.backend.cpu.shared.windows import (
    WindowBlock,
    output_blocks,
    pixel_blocks,
    record_first_places,
    windows_cover,
    windows_overlap,
)
from gpunn.geometry import Pool2dGeometry


def _weight_of_output(geometry: Pool2dGeometry) -> int:
    """Input elements that an output accounts for."""
    return geometry.N * geometry.C * geometry.stride.rows * geometry.stride.columns


def _combine(operation: np.ufunc, out: Array, x: Array, block: WindowBlock) -> None:
    """out = the operation over all places of the windows of a block, from the first to the last."""
    first, *others = block.taps
    if not others:
        np.copyto(out, x[first.pixels])
        return
    operation(x[first.pixels], x[others[0].pixels], out=out)
    for tap in others[1:]:
        operation(out, x[tap.pixels], out=out)


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
        _combine(np.maximum, largest, x, block)
        if places is not None:
            record_first_places(device, places[block.area], largest, x, block.taps)

    for_each_block(device, work, output_blocks(geometry, _weight_of_output(geometry)), x.size)


def maximum_pool2d_backward(
    device: CpuDevice, gx: Array, gy: Array, argmax: Array, geometry: Pool2dGeometry, accumulate: bool
) -> None:
    """gx (N, H, W, C): each element of gy (N, P, Q, C) goes to the place that `argmax` names.

    The gradient is selected by its bits, so an infinite one leaves the other pixels at zero.
    """
    integer = np.dtype(f"i{gy.dtype.itemsize}")
    gx, gy, places = memory_order(gx), memory_order(gy), memory_order(argmax)
    gx_bits, gy_bits = gx.view(integer), gy.view(integer)
    adds = accumulate or windows_overlap(geometry)
    clears = not accumulate and (adds or not windows_cover(geometry))

    def work(block: WindowBlock) -> None:
        if clears:
            gx[block.area].fill(0)
        for tap in block.taps:
            chosen = gy_bits[tap.outputs]
            hit = device.scratch(0, chosen.shape, np.bool_)
            np.equal(places[tap.outputs], tap.number, out=hit)
            ones = hit.view(np.int8)
            np.negative(ones, out=ones)
            mask = device.scratch(1, chosen.shape, integer)
            np.copyto(mask, ones)
            if adds:
                np.bitwise_and(chosen, mask, out=mask)
                target = gx[tap.pixels]
                np.add(target, mask.view(gx.dtype), out=target)
            else:
                np.bitwise_and(chosen, mask, out=gx_bits[tap.pixels])

    for_each_block(device, work, pixel_blocks(geometry, geometry.N * geometry.C), gx.size)


def mean_pool2d_forward(device: CpuDevice, y: Array, x: Array, geometry: Pool2dGeometry) -> None:
    """y (N, P, Q, C): the mean over the pixels of each window of x (N, H, W, C) that lie in the image."""
    x, y = memory_order(x), memory_order(y)

    def work(block: WindowBlock) -> None:
        total = y[block.area]
        _combine(np.add, total, x, block)
        np.divide(total, y.dtype.type(len(block.taps)), out=total)

    for_each_block(device, work, output_blocks(geometry, _weight_of_output(geometry)), x.size)


def _pixels_in_windows(geometry: Pool2dGeometry) -> Array:
    """How many pixels of the image each window holds: (P, Q)."""
    counts = np.zeros((geometry.P, geometry.Q), np.int64)
    for block in output_blocks(geometry, 1):
        counts[block.area] = len(block.taps)
    return counts


def mean_pool2d_backward(device: CpuDevice, gx: Array, gy: Array, geometry: Pool2dGeometry, accumulate: bool) -> None:
    """gx (N, H, W, C): gy (N, P, Q, C) divided by the number of pixels of its window, to each of them."""
    gx, gy = memory_order(gx), memory_order(gy)
    counts = _pixels_in_windows(geometry).astype(gy.dtype)[:, :, np.newaxis, np.newaxis]
    adds = accumulate or windows_overlap(geometry)
    clears = not accumulate and (adds or not windows_cover(geometry))

    def work(block: WindowBlock) -> None:
        if clears:
            gx[block.area].fill(0)
        if not block.taps:
            return
        # Windows that touch the block: their shares are computed once, then read by every tap.
        top = min(tap.outputs[0].start for tap in block.taps)
        bottom = max(tap.outputs[0].stop for tap in block.taps)
        left = min(tap.outputs[1].start for tap in block.taps)
        right = max(tap.outputs[1].stop for tap in block.taps)
        touching = gy[top:bottom, left:right]
        shares = device.scratch(0, touching.shape, gy.dtype)
        np.divide(touching, counts[top:bottom, left:right], out=shares)
        for tap in block.taps:
            rows, columns = tap.outputs
            part = shares[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            target = gx[tap.pixels]
            if adds:
                np.add(target, part, out=target)
            else:
                np.copyto(target, part)

    for_each_block(device, work, pixel_blocks(geometry, geometry.N * geometry.C), gx.size)


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
