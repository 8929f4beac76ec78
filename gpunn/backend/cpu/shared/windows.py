"""Pooling windows cut into blocks: which pixels each place of a window touches.

Windows at the border hold fewer pixels than those inside. A block is a rectangle in which every window holds the
same places, so that one slice of the image serves a place for all windows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, product
from typing import NamedTuple

import numpy as np

from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.blocks import Index, blocks
from gpunn.geometry import Pool2dGeometry


class Tap(NamedTuple):
    """One place of the window, number r * S + s: the outputs that read there, and the pixels they read."""

    number: int
    outputs: Index
    pixels: Index


class WindowBlock(NamedTuple):
    """A rectangle of outputs or of pixels, and the taps that touch it in the order of their numbers."""

    area: Index
    taps: tuple[Tap, ...]


class _Axis(NamedTuple):
    """The windows along the rows or along the columns."""

    size: int
    outputs: int
    window: int
    stride: int
    before: int

    def taps_inside(self, output: int) -> range:
        """The places of this output's window that lie in the image."""
        start = output * self.stride - self.before
        return range(max(0, -start), min(self.window, self.size - start))

    def even_runs(self) -> Iterator[tuple[range, range]]:
        """Neighbouring outputs whose windows hold the same places: (outputs, places)."""
        for inside, run in groupby(range(self.outputs), self.taps_inside):
            members = list(run)
            yield range(members[0], members[-1] + 1), inside

    def pixels_read(self, tap: int, first: int, stop: int) -> slice:
        """What outputs first to stop - 1 read at one place of their windows."""
        start = first * self.stride + tap - self.before
        return slice(start, start + (stop - first - 1) * self.stride + 1, self.stride)

    def readers(self, tap: int, first: int, stop: int) -> tuple[slice, slice] | None:
        """The outputs whose place `tap` lies in pixels first to stop - 1, and those pixels."""
        offset = self.before - tap
        low = max(0, -(-(first + offset) // self.stride))
        high = min(self.outputs, -(-(stop + offset) // self.stride))
        return (slice(low, high), self.pixels_read(tap, low, high)) if low < high else None


def _axes(geometry: Pool2dGeometry) -> tuple[_Axis, _Axis]:
    stride, padding = geometry.stride, geometry.padding
    return (
        _Axis(geometry.H, geometry.P, geometry.R, stride.rows, padding.top),
        _Axis(geometry.W, geometry.Q, geometry.S, stride.columns, padding.left),
    )


@lru_cache(maxsize=256)
def output_blocks(geometry: Pool2dGeometry, weight: int) -> tuple[WindowBlock, ...]:
    """The outputs in blocks; every tap of a block covers the whole block.

    `weight` is the number of elements that one output stands for.
    """
    row_axis, column_axis = _axes(geometry)
    found = []
    for (rows, row_taps), (columns, column_taps) in product(row_axis.even_runs(), column_axis.even_runs()):
        for row_part, column_part in blocks((len(rows), len(columns)), weight):
            top, bottom = rows.start + row_part.start, rows.start + row_part.stop
            left, right = columns.start + column_part.start, columns.start + column_part.stop
            area = (slice(top, bottom), slice(left, right))
            taps = tuple(
                Tap(
                    r * geometry.S + s,
                    area,
                    (row_axis.pixels_read(r, top, bottom), column_axis.pixels_read(s, left, right)),
                )
                for r, s in product(row_taps, column_taps)
            )
            found.append(WindowBlock(area, taps))
    return tuple(found)


@lru_cache(maxsize=256)
def pixel_blocks(geometry: Pool2dGeometry, weight: int) -> tuple[WindowBlock, ...]:
    """The pixels in blocks, each with the taps that touch it: what a backward pass may add to without a lock."""
    row_axis, column_axis = _axes(geometry)
    found = []
    for rows, columns in blocks((geometry.H, geometry.W), weight):
        taps = []
        for r, s in product(range(geometry.R), range(geometry.S)):
            in_rows = row_axis.readers(r, rows.start, rows.stop)
            in_columns = column_axis.readers(s, columns.start, columns.stop)
            if in_rows and in_columns:
                taps.append(Tap(r * geometry.S + s, (in_rows[0], in_columns[0]), (in_rows[1], in_columns[1])))
        found.append(WindowBlock((rows, columns), tuple(taps)))
    return tuple(found)


def windows_overlap(geometry: Pool2dGeometry) -> bool:
    """Whether a pixel may lie in more than one window."""
    return geometry.stride.rows < geometry.R or geometry.stride.columns < geometry.S


def windows_cover(geometry: Pool2dGeometry) -> bool:
    """Whether every pixel lies in a window."""
    return all(
        axis.stride <= axis.window and (axis.outputs - 1) * axis.stride + axis.window - axis.before >= axis.size
        for axis in _axes(geometry)
    )


def place_dtype(geometry: Pool2dGeometry) -> DType:
    """The type that holds the number of a place in the window."""
    return np.dtype(np.uint8 if geometry.R * geometry.S <= 256 else np.int32)


def record_first_places(device: CpuDevice, place: Array, values: Array, x: Array, taps: tuple[Tap, ...]) -> None:
    """place = the number of the first tap at which x equals `values`; the last tap where none does (NaN).

    `place` and `values` are one block of outputs, `x` the whole image.
    """
    differs = device.scratch(0, values.shape, np.bool_)
    place.fill(0)
    for tap, following in zip(taps[-2::-1], taps[:0:-1], strict=True):
        np.not_equal(x[tap.pixels], values, out=differs)
        np.add(place, place.dtype.type(following.number - tap.number), out=place)
        np.multiply(place, differs.view(np.uint8), out=place)
    if taps[0].number:
        np.add(place, place.dtype.type(taps[0].number), out=place)
