"""Grids in which one block reduces one row of numbers: see kernels/row_reduction.cuh."""

from __future__ import annotations

from gpunn.arena import align
from gpunn.backend.cuda.launching.launch import Grid

WARP_THREADS = 32
#: MOST_WARPS of kernels/row_reduction.cuh.
MOST_WARPS = 32
#: A thread takes some numbers before the block combines what its threads have.
NUMBERS_PER_THREAD = 4


def row_grid(rows: int, numbers: int) -> Grid:
    """A block for each row of so many numbers; the size of the block, and so the order of sums, follows from them."""
    threads = align(-(-numbers // NUMBERS_PER_THREAD), WARP_THREADS)
    return Grid((rows, 1, 1), (min(threads, MOST_WARPS * WARP_THREADS), 1, 1))
