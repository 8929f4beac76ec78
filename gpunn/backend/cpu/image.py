"""From pictures of bytes to the numbers a network reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block
from gpunn.backend.cpu.shared.rows import rows_to_join

#: NumPy calls that go over all numbers: crop, turn, convert, multiply and add.
_PASSES = 5


@dataclass(frozen=True)
class _Crop:
    """Neighbouring images of a batch that are cropped alike.

    Attributes:
        images: which.
        top: row of the pictures that is the first of the crops.
        left: column of the pictures that is the first of the crops, counted before they are mirrored.
        mirror: whether left and right change places.
    """

    images: slice
    top: int
    left: int
    mirror: bool

    def copy(self, planes: Array, pictures: Array, first: int) -> None:
        """planes[c, h, w, n] = pictures[top + first + h, left + w, n, c], mirrored if asked; 0 outside the pictures."""
        target, images, left = planes[..., self.images], self.images, self.left
        top = self.top + first
        _, rows, columns, _ = planes.shape
        if self.mirror:
            target = target[:, :, ::-1]
        if top >= 0 and left >= 0 and top + rows <= pictures.shape[0] and left + columns <= pictures.shape[1]:
            np.copyto(target, pictures[top : top + rows, left : left + columns, images].transpose(3, 0, 1, 2))
            return
        target.fill(0)
        first_row, last_row = max(0, top), min(pictures.shape[0], top + rows)
        first_column, last_column = max(0, left), min(pictures.shape[1], left + columns)
        if first_row >= last_row or first_column >= last_column:
            return
        target = target[:, first_row - top : last_row - top, first_column - left : last_column - left]
        np.copyto(target, pictures[first_row:last_row, first_column:last_column, images].transpose(3, 0, 1, 2))


def _crops(placement: Array) -> Iterator[_Crop]:
    first = 0
    for (top, left, mirror), alike in groupby(placement.tolist()):
        stop = first + sum(1 for _ in alike)
        yield _Crop(slice(first, stop), top, left, bool(mirror))
        first = stop


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
    columns = rows_to_join(y.shape[1], N * C)
    joined = (-1, columns, N, C)
    factor = np.tile((1 / (255 * np.asarray(deviation, np.float64))).astype(y.dtype), columns * N).reshape(joined[1:])
    offset = np.tile((-np.asarray(mean, np.float64) / deviation).astype(y.dtype), columns * N).reshape(joined[1:])
    crops, pictures = tuple(_crops(placement)), images.transpose(1, 2, 0, 3)

    def work(index: Index) -> None:
        rows = index[0]
        target = y[rows]
        pixels = device.scratch(0, target.shape, np.uint8)
        if len(crops) == 1:
            # Channel by channel: one call would copy the few channels of each pixel by themselves.
            for c in range(C):
                one = slice(c, c + 1)
                crops[0].copy(pixels[..., one].transpose(3, 0, 1, 2), pictures[..., one], rows.start)
        else:
            # Image by image first, then all turned at once: runs as long as an image is wide.
            planes = device.scratch(1, (N, C, *target.shape[:2]), np.uint8)
            by_channel = planes.transpose(1, 2, 3, 0)
            for crop in crops:
                crop.copy(by_channel, pictures, rows.start)
            np.copyto(pixels.reshape(-1, N * C), planes.reshape(N * C, -1).T)
        np.copyto(target, pixels)
        runs = target.reshape(len(target), *joined)
        np.multiply(runs, factor, out=runs)
        np.add(runs, offset, out=runs)

    for_each_block(device, work, blocks(y.shape[:1], y[0].size), _PASSES * y.size)
