"""From pictures of bytes to the numbers a network reads."""

from __future__ import annotations

import numpy as np

from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block


def _crop(staged: Array, picture: Array, top: int, left: int, mirror: bool) -> None:
    """staged[h, w] = picture[top + h, left + w], mirrored left to right if asked; 0 outside the picture."""
    rows, columns = staged.shape[:2]
    first_row, last_row = max(0, top), min(picture.shape[0], top + rows)
    first_column, last_column = max(0, left), min(picture.shape[1], left + columns)
    if last_row - first_row < rows or last_column - first_column < columns:
        staged.fill(0)
    if first_row >= last_row or first_column >= last_column:
        return
    target = staged[:, ::-1] if mirror else staged
    target[first_row - top : last_row - top, first_column - left : last_column - left] = picture[
        first_row:last_row, first_column:last_column
    ]


def normalize_images(
    device: CpuDevice, y: Array, images: Array, placement: Array, mean: Array, deviation: Array
) -> None:
    """y[n, h, w, c] = (pixel / 255 - mean[c]) / deviation[c], the pixel cropped and mirrored.

    Args:
        device: the CPU.
        y: (N, H, W, C) of the network's type.
        images: uint8 (N, H0, W0, C).
        placement: int32 (N, 3): the top and left corner of the crop in the picture, and 1 to mirror the crop left
            to right. Pixels outside the picture count as 0.
        mean: (C,) on the scale 0 to 1.
        deviation: (C,) on the scale 0 to 1.
    """
    N, _, _, C = images.shape
    y = memory_order(y)
    factor = np.tile(1 / (255 * np.asarray(deviation, np.float64)), N).astype(y.dtype).reshape(N, C)
    offset = np.tile(-np.asarray(mean, np.float64) / deviation, N).astype(y.dtype).reshape(N, C)
    corners = placement.tolist()

    def work(index: Index) -> None:
        rows = index[0]
        target = y[rows]
        staged = device.scratch(0, target.shape, np.uint8)
        for image, (top, left, mirror) in enumerate(corners):
            _crop(staged[:, :, image], images[image], top + rows.start, left, bool(mirror))
        np.copyto(target, staged)
        np.multiply(target, factor, out=target)
        np.add(target, offset, out=target)

    for_each_block(device, work, blocks(y.shape[:1], y[0].size), y.size)
