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

#: Elements that the windows of one block of outputs read at most, where there are more than one a thread, and those of
#: one block of pixels, which go through scratch memory of four bytes each.
OUTPUT_BLOCK, PIXEL_BLOCK = 2**21, 2**20
#: Windows that read fewer elements stay one block, also where threads share a layer.
SMALL_RECTANGLE = 2**18
#: NumPy calls that go over all elements of all windows, as many as take the same time: those on bytes are short.
_PASSES = 1.5
#: With fewer numbers in a row, a reduction over many places takes two to three times as long as a call for each.
SHORT_RUN = 512

#: Scratch of this file.
_DIFFERS = 110


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


def _cut(rows: _Run, columns: _Run, geometry: Pool2dGeometry, threads: int, most: int) -> Iterator[WindowBlock]:
    """The rectangle of two runs in even blocks, as many for each thread; each reads `most` elements at most."""
    numbers = np.array([[r * geometry.S + s for s in columns.places] for r in rows.places], place_dtype(geometry))
    numbers = numbers.reshape(len(rows.places), len(columns.places), 1, 1, 1, 1)
    results = len(rows.results) * len(columns.results)
    elements = max(1, numbers.size) * results * geometry.N * geometry.C
    sharing = threads if elements >= SMALL_RECTANGLE and window_work(geometry) >= WORTH_A_THREAD else 1
    count = sharing * ceil(elements / (sharing * most))
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


def window_work(geometry: Pool2dGeometry) -> int:
    """Elements that all windows read, times the NumPy calls that go over them."""
    return int(_PASSES * geometry.N * geometry.P * geometry.Q * geometry.R * geometry.S * geometry.C)


def _slice(members: range) -> slice:
    return slice(members.start, members.stop, members.step)


@lru_cache(maxsize=256)
def output_blocks(geometry: Pool2dGeometry, threads: int) -> tuple[WindowBlock, ...]:
    """The outputs in blocks, with the pixels of their windows."""
    rows, columns = _axes(geometry)
    pairs = product(rows.outputs_alike(), columns.outputs_alike())
    return tuple(block for pair in pairs for block in _cut(*pair, geometry, threads, OUTPUT_BLOCK))


@lru_cache(maxsize=256)
def pixel_blocks(geometry: Pool2dGeometry, threads: int) -> tuple[WindowBlock, ...]:
    """The pixels in blocks, with the outputs whose windows hold them: none for some.

    Each pixel lies in one block, so a backward pass needs no lock and clears nothing.
    """
    rows, columns = _axes(geometry)
    pairs = product(rows.pixels_alike(), columns.pixels_alike())
    return tuple(block for pair in pairs for block in _cut(*pair, geometry, threads, PIXEL_BLOCK))


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


def places_of(view: Array) -> list[Array]:
    """What `windows` gave, place by place in the order (r, s)."""
    return [place for row in view for place in row]


def reduce_windows(function: np.ufunc, result: Array, view: Array) -> None:
    """result = np.maximum or np.add over all places of what `windows` gave, in the order (r, s)."""
    if result.shape[-1] * result.shape[-2] >= SHORT_RUN:
        function.reduce(view, axis=(0, 1), out=result)
        return
    first, *others = places_of(view)
    if not others:
        np.copyto(result, first)
        return
    function(first, others[0], out=result)
    for other in others[1:]:
        function(result, other, out=result)


def record_first_places(device: CpuDevice, place: Array, values: Array, x: Array, block: WindowBlock) -> None:
    """place = the number of the first place at which x equals `values`; the last place where none does (NaN).

    `place` and `values` are one block of outputs, `x` the whole image. With n[k] = 1 where place k differs from the
    value, the number of the first that does not is n[0] (1 + n[1] (1 + n[2] (...))), and steps other than 1 between
    the numbers take its place.
    """
    differs = device.scratch(_DIFFERS, place.shape, np.bool_)
    numbers = block.numbers.ravel().tolist()
    place.fill(0)
    later = numbers[-1]
    for number, pixels in reversed(list(zip(numbers[:-1], places_of(windows(x, block)), strict=False))):
        np.not_equal(pixels, values, out=differs)
        np.add(place, place.dtype.type(later - number), out=place)
        np.multiply(place, differs.view(np.uint8), out=place)
        later = number
    if later:
        np.add(place, place.dtype.type(later), out=place)
