"""How the three passes of a convolution are cut into blocks, and the scratch they need: computed once a geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from gpunn.backend.cpu.convolution_algorithms.cutting import cut
from gpunn.backend.cpu.convolution_algorithms.gather import Axis, Block, Reading
from gpunn.backend.cpu.convolution_algorithms.workspace import Share
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Conv2dGeometry

#: Plans that are kept: more than the geometries of the programs a process has at a time.
PLANS = 1024


@dataclass(frozen=True)
class ForwardPlan:
    """The blocks of the output, and the scratch of a thread."""

    reading: Reading
    blocks: tuple[Block, ...]
    share: Share


@dataclass(frozen=True)
class Phase:
    """The input pixels whose row is `row` and whose column is `column` modulo the stride.

    `taps_down` and `taps_right` are the filter rows and columns that reach them, in the order in which they read
    the gradient of the output as `reading` says; `reading` is None when no tap reaches them.
    """

    row: int
    column: int
    rows: int
    columns: int
    taps_down: slice
    taps_right: slice
    reading: Reading | None


@dataclass(frozen=True)
class DataPlan:
    """The phases, the blocks of each (by the index of its phase), and the scratch of a thread."""

    phases: tuple[Phase, ...]
    blocks: tuple[tuple[int, Block], ...]
    share: Share


@dataclass(frozen=True)
class FilterPlan:
    """Neighbouring blocks for each slot, which adds up their products in order, and the scratch of a thread."""

    reading: Reading
    slots: tuple[tuple[Block, ...], ...]
    share: Share

    @property
    def matrix_rows(self) -> int:
        """Rows of the largest block's matrix: pixels times images."""
        return max(block.rows * block.columns for blocks in self.slots for block in blocks) * self.reading.N


@lru_cache(PLANS)
def plan_forward(geometry: Conv2dGeometry, itemsize: int, threads: int, by_tap: bool = False) -> ForwardPlan:
    """The plan of the forward pass."""
    reading = read_input(geometry, by_tap)
    blocks = cut(reading, geometry.N * geometry.K, itemsize, threads)
    return ForwardPlan(reading, blocks, _share(reading, blocks, geometry.K))


@lru_cache(PLANS)
def plan_data(geometry: Conv2dGeometry, itemsize: int, threads: int, by_tap: bool = False) -> DataPlan:
    """The plan of backward-data."""
    phases = phases_of(geometry, by_tap)
    indexed: list[tuple[int, Block]] = []
    share = Share(0, 0, 0)
    for index, phase in enumerate(phases):
        if phase.reading is None:
            indexed.append((index, Block(0, phase.rows, 0, phase.columns)))
        else:
            blocks = cut(phase.reading, geometry.N * geometry.C, itemsize, threads)
            indexed += [(index, block) for block in blocks]
            share = share.enlarged(_share(phase.reading, blocks, geometry.C))
    return DataPlan(phases, tuple(indexed), share)


@lru_cache(PLANS)
def phases_of(geometry: Conv2dGeometry, by_tap: bool = False) -> tuple[Phase, ...]:
    """The phases of the stride, row by row."""
    return tuple(
        _phase(geometry, row, column, by_tap)
        for row in range(min(geometry.stride.rows, geometry.H))
        for column in range(min(geometry.stride.columns, geometry.W))
    )


@lru_cache(PLANS)
def plan_filter(geometry: Conv2dGeometry, itemsize: int, threads: int, by_tap: bool = False) -> FilterPlan:
    """The plan of backward-filter."""
    reading = read_input(geometry, by_tap)
    blocks = cut(reading, geometry.N * geometry.K, itemsize, threads)
    slots = tuple(blocks[first:stop] for first, stop in split(len(blocks), min(threads, len(blocks))))
    product = (reading.depth + 1) * geometry.K if len(blocks) > len(slots) else 0
    share = _share(reading, blocks, 0)
    return FilterPlan(reading, slots, Share(share.window, share.patches, product))


def read_input(geometry: Conv2dGeometry, by_tap: bool = False) -> Reading:
    """What the outputs of a convolution read of its input."""
    stride, dilation, padding = geometry.stride, geometry.dilation, geometry.padding
    return Reading(
        Axis(geometry.H, geometry.P, geometry.R, stride.rows, dilation.rows, -padding.top),
        Axis(geometry.W, geometry.Q, geometry.S, stride.columns, dilation.columns, -padding.left),
        geometry.N,
        geometry.C,
        geometry.groups,
        by_tap,
    )


def _share(reading: Reading, blocks: tuple[Block, ...], written: int) -> Share:
    """Scratch for the largest of these blocks, whose pixels write `written` channels."""
    return Share(
        max(reading.window_size(block) for block in blocks),
        max(reading.patches_size(block) for block in blocks),
        max(block.rows * block.columns for block in blocks) * reading.N * written,
    )


def _phase(geometry: Conv2dGeometry, row: int, column: int, by_tap: bool) -> Phase:
    forward = read_input(geometry)
    taps_down, rows = _reached(forward.rows, row)
    taps_right, columns = _reached(forward.columns, column)
    empty = rows.taps == 0 or columns.taps == 0
    reading = None if empty else Reading(rows, columns, geometry.N, geometry.K, geometry.groups, by_tap)
    return Phase(row, column, rows.outputs, columns.outputs, taps_down, taps_right, reading)


def _reached(forward: Axis, first: int) -> tuple[slice, Axis]:
    """The taps that reach the inputs first, first + stride, ..., and how those inputs read the outputs.

    Output p reads the input h = p * stride + r * dilation + offset, so h = first + i * stride is read by
    p = i + (first - offset - r * dilation) / stride, where that is whole. Such r lie stride / gcd apart, and their
    p dilation / gcd; with r falling, p rises.
    """
    stride, dilation = forward.stride, forward.dilation
    inputs = -(-(forward.extent - first) // stride)
    reaching = [tap for tap in range(forward.taps) if (first - forward.offset - tap * dilation) % stride == 0]
    if not reaching:
        return slice(0), Axis(forward.outputs, inputs, 0, 1, 1, 0)
    common = gcd(stride, dilation)
    offset = (first - forward.offset - reaching[-1] * dilation) // stride
    return (
        slice(reaching[-1], None, -(stride // common)),
        Axis(forward.outputs, inputs, len(reaching), 1, dilation // common, offset),
    )
