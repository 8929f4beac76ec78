"""Images seen as rows of numbers, several of them joined to one, in blocks that threads share.

The leading axes in the order of memory are the rows. Images are dense, or slices of the channels of dense ones.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.blocks import pieces_of
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import Shape

#: Several rows are joined to one of at most this many numbers: NumPy's inner loops are long, and a row, the result and
#: a vector of that length lie in the first cache together.
WIDTH = 2048
#: Joined rows of fewer numbers than this are worth a block for the rows that are left over.
SHORT = 512


class Block(NamedTuple):
    """Neighbouring rows, and how many of them are joined to one."""

    rows: slice
    joined: int


class RowPlan(NamedTuple):
    """How the rows of an array are worked on.

    Attributes:
        columns: numbers in a row.
        joined: how many rows are joined to one at most.
        blocks: all rows; what does not fill a joined row is a block of its own.
        counts: rows of each block, float64: (blocks, 1).
    """

    columns: int
    joined: int
    blocks: tuple[Block, ...]
    counts: Array


@lru_cache(maxsize=1024)
def rows_to_join(rows: int, columns: int) -> int:
    """How many of `rows` rows make one no longer than WIDTH: a divisor, 1 if need be."""
    most = max(1, min(rows, WIDTH // columns))
    return next(joined for joined in range(most, 0, -1) if rows % joined == 0)


@lru_cache(maxsize=1024)
def row_plan(shape: Shape, leading: int, threads: int, passes: int) -> RowPlan:
    """The plan of an array in the order of memory, whose first `leading` axes are rows.

    Args:
        shape: of the array.
        leading: how many axes.
        threads: of the device.
        passes: how many NumPy calls go over the array.
    """
    rows, columns = prod(shape[:leading]), prod(shape[leading:])
    joined = rows_to_join(rows, columns)
    if joined * columns < SHORT:
        joined = max(1, min(rows, WIDTH // columns))
    long_rows = rows // joined
    spans = split(long_rows, min(long_rows, pieces_of(rows * columns, threads, passes)))
    blocks = [Block(slice(first * joined, stop * joined), joined) for first, stop in spans]
    if long_rows * joined < rows:
        blocks.append(Block(slice(long_rows * joined, rows), rows - long_rows * joined))
    counts = np.array([[block.rows.stop - block.rows.start] for block in blocks], np.float64)
    return RowPlan(columns, joined, tuple(blocks), counts)


def rows_of(array: Array, leading: int) -> Array:
    """A view of an array in the order of memory with its rows in one axis."""
    return array.reshape(-1, *array.shape[leading:])


def join(device: CpuDevice, slot: int, rows: Array, block: Block, columns: int) -> Array:
    """A block as a dense matrix of joined rows: a view, or a copy in scratch memory."""
    part = rows[block.rows]
    if not part.flags.c_contiguous:
        dense = device.scratch(slot, part.shape, part.dtype)
        np.copyto(dense, part)
        part = dense
    return part.reshape(-1, block.joined * columns)


def joined_result(device: CpuDevice, slot: int, rows: Array, block: Block, columns: int) -> Array:
    """Where to write a block: itself as a matrix if dense, else scratch memory, which `store` then copies."""
    part = rows[block.rows]
    if part.flags.c_contiguous:
        return part.reshape(-1, block.joined * columns)
    return device.scratch(slot, (part.size // (block.joined * columns), block.joined * columns), part.dtype)


def store(rows: Array, block: Block, result: Array) -> None:
    """Copy what joined_result gave to its block, unless it is the block."""
    part = rows[block.rows]
    if not part.flags.c_contiguous:
        np.copyto(part, result.reshape(part.shape))


def join_vectors(device: CpuDevice, slot: int, plan: RowPlan, dtype: DType, *vectors: Array) -> Array:
    """Vectors of a number a column, each repeated for joined rows: (vectors, joined * columns), in scratch memory."""
    repeated = device.scratch(slot, (len(vectors), plan.joined, plan.columns), dtype)
    for target, vector in zip(repeated, vectors, strict=True):
        np.copyto(target, vector.reshape(-1), casting="same_kind")
    return repeated.reshape(len(vectors), -1)
