"""Which input pixels each output pixel of a convolution reads, and their copy into a matrix (im2col), block by block.

The matrix has a row for each pixel, whose runs are C numbers long, or a row for each tap and channel, whose runs are
Q * N long: the better order where channels are few.

Forward, backward-data and backward-filter all read their input in one pattern: output i reads the inputs
i * stride + tap * dilation + offset along each axis, zero outside the image. This module knows that pattern and
nothing of filters. Images are in the order of memory, H, W, N, C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray[Any, Any]

#: Numbers of a cache line.
LINE = 16


@dataclass(frozen=True)
class Axis:
    """Rows or columns: output i reads the inputs i * stride + tap * dilation + offset of `extent`."""

    extent: int
    outputs: int
    taps: int
    stride: int
    dilation: int
    offset: int

    def span(self, first: int, stop: int) -> tuple[int, int]:
        """The first input that the outputs first .. stop - 1 read, and the one after the last; may lie outside."""
        return (
            first * self.stride + self.offset,
            (stop - 1) * self.stride + (self.taps - 1) * self.dilation + self.offset + 1,
        )

    def reaching(self, tap: int, first: int, stop: int) -> tuple[slice, slice]:
        """The outputs that read one of the inputs first .. stop - 1 by this tap, and those inputs."""
        shift = tap * self.dilation + self.offset
        start = max(0, -(-(first - shift) // self.stride))
        end = min(self.outputs, -(-(stop - shift) // self.stride))
        if start >= end:
            return slice(0), slice(0)
        return slice(start, end), slice(start * self.stride + shift, (end - 1) * self.stride + shift + 1, self.stride)


class Block(NamedTuple):
    """A rectangle of output pixels: whole rows, or a part of one row, so that its memory is one piece."""

    row: int
    row_stop: int
    column: int
    column_stop: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.row_stop - self.row

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return self.column_stop - self.column

    def of(self, image: Array) -> Array:
        """The block's pixels of an image."""
        return image[self.row : self.row_stop, self.column : self.column_stop]


@dataclass(frozen=True)
class Reading:
    """What the outputs of a convolution read: the pattern of rows and of columns, over N images of C channels.

    `by_tap` says whether the matrix has a row for each tap and channel, and one row of ones, instead of one for each
    pixel.
    """

    rows: Axis
    columns: Axis
    N: int
    C: int
    groups: int
    by_tap: bool = False

    @property
    def depth(self) -> int:
        """Numbers that one output pixel reads in one group: taps times channels."""
        return self.rows.taps * self.columns.taps * (self.C // self.groups)

    @property
    def numbers_per_pixel(self) -> int:
        """Numbers that one output pixel reads in all groups and images."""
        return self.N * self.groups * self.depth

    @property
    def is_identity(self) -> bool:
        """Whether every output pixel reads just the input pixel at its own place."""
        return all(
            axis.taps == 1 and axis.stride == 1 and axis.offset == 0 and axis.outputs <= axis.extent
            for axis in (self.rows, self.columns)
        )

    def needs_window(self, block: Block) -> bool:
        """Whether the inputs of a block must be copied first: to add padding, or to turn the channels outwards."""
        top, bottom = self.rows.span(block.row, block.row_stop)
        left, right = self.columns.span(block.column, block.column_stop)
        outside = top < 0 or left < 0 or bottom > self.rows.extent or right > self.columns.extent
        return outside or (self.by_tap and self.C > 1)

    def window_size(self, block: Block) -> int:
        """Numbers of the copy of the block's inputs."""
        if not self.needs_window(block):
            return 0
        top, bottom = self.rows.span(block.row, block.row_stop)
        left, right = self.columns.span(block.column, block.column_stop)
        return (bottom - top) * (right - left) * self.N * self.C

    def patches_size(self, block: Block) -> int:
        """Numbers of the block's matrix."""
        pixels = block.rows * block.columns * self.N
        if self.by_tap:
            return _pitch(pixels) * self.groups * (self.depth + 1)
        return 0 if self.is_identity else pixels * self.groups * self.depth


def gather(reading: Reading, block: Block, image: Array, window: Array, patches: Array) -> Array:
    """What the pixels of a block read, as one matrix (pixels * N, depth) for each group: (G, pixels * N, depth).

    Args:
        reading: not by tap.
        image: (H, W, N, C).
        window: flat scratch of `reading.window_size(block)` numbers or more.
        patches: flat scratch of `reading.patches_size(block)` numbers or more; the result lies in it, unless the
            image itself serves.
    """
    pixels = block.rows * block.columns * reading.N
    if reading.is_identity:
        return block.of(image).reshape(pixels, reading.groups, -1).transpose(1, 0, 2)
    read = windows(reading, block, inputs(reading, block, image, window))
    matrix = patches[: read.size]
    ordered = read.transpose(3, 0, 1, 2, 4, 5, 6)
    np.copyto(matrix.reshape(ordered.shape), ordered)
    return matrix.reshape(reading.groups, pixels, reading.depth)


def gather_by_tap(reading: Reading, block: Block, image: Array, window: Array, patches: Array) -> Array:
    """What the pixels of a block read, tap by tap, then ones: (G, depth + 1, pixels * N).

    Args:
        reading: by tap; else as `gather`.
    """
    pixels = block.rows * block.columns * reading.N
    rows = patches[: reading.patches_size(block)].reshape(reading.groups, reading.depth + 1, -1)
    matrix = rows[:, :, :pixels]
    ordered = windows(reading, block, inputs(reading, block, image, window)).transpose(3, 4, 5, 6, 0, 1, 2)
    np.copyto(matrix[:, :-1].reshape(ordered.shape), ordered)
    matrix[:, -1] = 1
    return matrix


def windows(reading: Reading, block: Block, read: Array) -> Array:
    """`inputs` of a block as a view (rows, columns, N, G, taps down, taps right, C/G) of what each pixel reads."""
    down, right, across, deep = read.strides
    channels = reading.C // reading.groups
    return as_strided(
        read,
        (block.rows, block.columns, reading.N, reading.groups, reading.rows.taps, reading.columns.taps, channels),
        (
            down * reading.rows.stride,
            right * reading.columns.stride,
            across,
            deep * channels,
            down * reading.rows.dilation,
            right * reading.columns.dilation,
            deep,
        ),
        writeable=False,
    )


def inputs(reading: Reading, block: Block, image: Array, window: Array) -> Array:
    """The inputs from the first to the last that a block reads, (rows, columns, N, C), zero outside the image."""
    top, bottom = reading.rows.span(block.row, block.row_stop)
    left, right = reading.columns.span(block.column, block.column_stop)
    if not reading.needs_window(block):
        return image[top:bottom, left:right]
    rows, columns = bottom - top, right - left
    copy = window[: rows * columns * reading.N * reading.C]
    if reading.by_tap:
        copy = copy.reshape(reading.C, rows, columns, reading.N).transpose(1, 2, 3, 0)
    else:
        copy = copy.reshape(rows, columns, reading.N, reading.C)
    first_row, first_column = _clamp(-top, rows), _clamp(-left, columns)
    last_row = max(first_row, _clamp(reading.rows.extent - top, rows))
    last_column = max(first_column, _clamp(reading.columns.extent - left, columns))
    copy[:first_row] = 0
    copy[last_row:] = 0
    copy[first_row:last_row, :first_column] = 0
    copy[first_row:last_row, last_column:] = 0
    np.copyto(
        copy[first_row:last_row, first_column:last_column],
        image[top + first_row : top + last_row, left + first_column : left + last_column],
    )
    return copy


def _pitch(pixels: int) -> int:
    """Numbers from one row of a matrix to the next: an odd number of cache lines.

    A multiple of a page would put the rows' pixels into few sets of the cache, which the BLAS reads row by row.
    """
    return (-(-pixels // LINE) | 1) * LINE


def _clamp(value: int, limit: int) -> int:
    return max(0, min(value, limit))


def as_rows(part: Array) -> Array | None:
    """A block of an image as a matrix (pixels * N, C) that shares its memory; None where the strides forbid it."""
    channels = part.shape[-1]
    if channels > 1 and part.strides[-1] != part.itemsize:
        return None
    step = expected = 0
    for extent, stride in zip(part.shape[-2::-1], part.strides[-2::-1], strict=True):
        if extent == 1:
            continue
        if step and stride != expected:
            return None
        step = step or stride
        expected = stride * extent
    return part.reshape(-1, channels)


def by_group(matrix: Array, groups: int) -> Array:
    """A matrix (rows, columns) as one matrix for each group of columns: (G, rows, columns/G)."""
    return matrix.reshape(len(matrix), groups, -1).transpose(1, 0, 2)
