"""Pooling windows cut into blocks, and all places of a block's windows as one array.

Windows at the border hold fewer pixels than those inside. A block is a rectangle of outputs, or of every n-th pixel, in
which each has the same neighbours: a view with two more axes in front, the rows and columns of the window, then holds
all of them, and one NumPy call works on all places at once. Few long calls are what two threads can share: each call
ends with a wait for the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, product
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.blocks import WORTH_A_THREAD, Index
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Pool2dGeometry

#: Elements that the windows of one block read: about 0.1 ms for a NumPy call.
WINDOW_BLOCK = 2**19

#: Scratch of this file.
_HITS, _DISTANCES = 110, 111


class WindowBlock(NamedTuple):
    """A rectangle of results, and the neighbours that each of them reads.

    Attributes:
        area: the results.
        origin: row and column of the first that is read.
        steps: rows and columns from the neighbours of one result to those of the next.
        extents: rows and columns of results.
        numbers: r * S + s of each neighbour, the places in a window: (rows, columns, 1, 1, 1, 1), of the type of
            place_dtype.
    """

    area: Index
    origin: tuple[int, int]
    steps: tuple[int, int]
    extents: tuple[int, int]
    numbers: Array


class _Run(NamedTuple):
    """Results along one axis with the same neighbours: where they lie, what the first reads, and its places."""

    results: range
    first: int
    step: int
    places: range


class _Axis(NamedTuple):
    """The windows along the rows or along the columns."""

    size: int
    outputs: int
    window: int
    stride: int
    before: int

    def _taps_inside(self, output: int) -> range:
        """The places of this output's window that lie in the image."""
        start = output * self.stride - self.before
        return range(max(0, -start), min(self.window, self.size - start))

    def outputs_alike(self) -> Iterator[_Run]:
        """Neighbouring outputs whose windows hold the same places."""
        for inside, run in groupby(range(self.outputs), self._taps_inside):
            members = list(run)
            first = members[0] * self.stride - self.before + inside.start
            yield _Run(range(members[0], members[-1] + 1), first, self.stride, inside)

    def _readers(self, pixel: int) -> range:
        """The outputs whose windows hold this pixel."""
        lowest = -(-(pixel + self.before - self.window + 1) // self.stride)
        return range(max(0, lowest), min(self.outputs, (pixel + self.before) // self.stride + 1))

    def pixels_alike(self) -> Iterator[_Run]:
        """Every n-th pixel, n the stride, as far as as many windows hold each of them at the same places."""

        def places(pixel: int) -> range:
            readers = self._readers(pixel)
            first = pixel + self.before - readers.start * self.stride
            return range(first, first - len(readers) * self.stride, -self.stride)

        for phase in range(min(self.stride, self.size)):
            for inside, run in groupby(range(phase, self.size, self.stride), places):
                members = list(run)
                pixels = range(members[0], members[-1] + 1, self.stride)
                yield _Run(pixels, self._readers(members[0]).start, 1, inside)


def _axes(geometry: Pool2dGeometry) -> tuple[_Axis, _Axis]:
    stride, padding = geometry.stride, geometry.padding
    return (
        _Axis(geometry.H, geometry.P, geometry.R, stride.rows, padding.top),
        _Axis(geometry.W, geometry.Q, geometry.S, stride.columns, padding.left),
    )


def _cut(rows: _Run, columns: _Run, geometry: Pool2dGeometry, threads: int) -> Iterator[WindowBlock]:
    """The rectangle of two runs in even blocks, as many for each thread."""
    numbers = np.array([[r * geometry.S + s for s in columns.places] for r in rows.places], place_dtype(geometry))
    numbers = numbers.reshape(len(rows.places), len(columns.places), 1, 1, 1, 1)
    results = len(rows.results) * len(columns.results)
    elements = max(1, numbers.size) * results * geometry.N * geometry.C
    count = 1 if elements < WORTH_A_THREAD else threads * ceil(elements / (threads * WINDOW_BLOCK))
    row_parts = min(len(rows.results), count)
    column_parts = min(len(columns.results), ceil(count / row_parts))
    for (top, bottom), (left, right) in product(
        split(len(rows.results), row_parts), split(len(columns.results), column_parts)
    ):
        yield WindowBlock(
            (_slice(rows.results[top:bottom]), _slice(columns.results[left:right])),
            (rows.first + top * rows.step, columns.first + left * columns.step),
            (rows.step, columns.step),
            (bottom - top, right - left),
            numbers,
        )


def _slice(members: range) -> slice:
    return slice(members.start, members.stop, members.step)


@lru_cache(maxsize=256)
def output_blocks(geometry: Pool2dGeometry, threads: int) -> tuple[WindowBlock, ...]:
    """The outputs in blocks, with the pixels of their windows."""
    rows, columns = _axes(geometry)
    pairs = product(rows.outputs_alike(), columns.outputs_alike())
    return tuple(block for pair in pairs for block in _cut(*pair, geometry, threads))


@lru_cache(maxsize=256)
def pixel_blocks(geometry: Pool2dGeometry, threads: int) -> tuple[WindowBlock, ...]:
    """The pixels in blocks, with the outputs whose windows hold them: none for some.

    Each pixel lies in one block, so a backward pass needs no lock and clears nothing.
    """
    rows, columns = _axes(geometry)
    pairs = product(rows.pixels_alike(), columns.pixels_alike())
    return tuple(block for pair in pairs for block in _cut(*pair, geometry, threads))


def windows(array: Array, block: WindowBlock) -> Array:
    """What a block reads of an array in memory order: (places, places, rows, columns, N, C), a view."""
    down, right, *others = array.strides
    shape = (*block.numbers.shape[:2], *block.extents, *array.shape[2:])
    steps = (down, right, down * block.steps[0], right * block.steps[1], *others)
    top, left = block.origin
    if array.flags.c_contiguous:
        # As as_strided, in a fifth of its time.
        return np.ndarray(shape, array.dtype, array, top * down + left * right, steps)
    return as_strided(array[top:, left:], shape, steps)


def place_dtype(geometry: Pool2dGeometry) -> DType:
    """The type that holds the number of a place in the window."""
    return np.dtype(np.uint8 if geometry.R * geometry.S <= 256 else np.int32)


def record_first_places(device: CpuDevice, place: Array, values: Array, x: Array, block: WindowBlock) -> None:
    """place = the number of the first place at which x equals `values`; the last place where none does (NaN).

    `place` and `values` are one block of outputs, `x` the whole image.
    """
    view = windows(x, block)
    hits = device.scratch(_HITS, view.shape, np.bool_)
    np.equal(view, values, out=hits)
    # The first place is the hit that is furthest from the last.
    last = block.numbers[-1, -1, 0, 0, 0, 0]
    distances = hits.view(np.uint8) if place.itemsize == 1 else device.scratch(_DISTANCES, view.shape, place.dtype)
    np.multiply(hits.view(np.uint8), last - block.numbers, out=distances)
    np.maximum.reduce(distances, axis=(0, 1), out=place)
    np.subtract(last, place, out=place)
