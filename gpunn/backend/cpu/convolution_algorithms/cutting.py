"""How the output pixels of a convolution are cut into blocks that fit a cache, in numbers that suit the threads."""

from __future__ import annotations

from gpunn.backend.cpu.convolution_algorithms.gather import Block, Reading
from gpunn.backend.cpu.shared.pieces import split

#: Bytes of the matrix and the result of one block: written, multiplied and finished within a core's share of the last
#: cache. Smaller ones fit the cache before it, but threads then meet more often at the interpreter's lock, which costs
#: more: half of this, up to a quarter of the time; a quarter, half of it.
BLOCK_BYTES = 3 << 20
#: A matrix product with fewer rows spends its time on repacking the filters; this comes before BLOCK_BYTES.
LEAST_MATRIX_ROWS = 512
#: Below this many numbers, a second thread costs more than it saves.
SMALL_WORK = 200_000
#: Below this many operations of a matrix product, too.
SMALL_PRODUCTS = 10_000_000


def cut(
    reading: Reading, beside: int, itemsize: int, threads: int, least_matrix_rows: int = LEAST_MATRIX_ROWS
) -> tuple[Block, ...]:
    """The blocks of all output pixels, in the order of memory.

    Args:
        beside: how many numbers a pixel has in cache beside its part of the matrix, such as its results.
    """
    per_pixel = reading.numbers_per_pixel + beside
    P, Q = reading.rows.outputs, reading.columns.outputs
    return cut_pixels(P, Q, reading.N, per_pixel, itemsize, threads, least_matrix_rows)


def cut_pixels(
    P: int, Q: int, N: int, per_pixel: int, itemsize: int, threads: int, least_matrix_rows: int = LEAST_MATRIX_ROWS
) -> tuple[Block, ...]:
    """As `cut`, of N images of P rows and Q columns, with `per_pixel` numbers in cache for each pixel of all images."""
    if P * Q * per_pixel <= SMALL_WORK:
        return (Block(0, P, 0, Q),)
    fitting = max(BLOCK_BYTES // (per_pixel * itemsize), least_matrix_rows // N, 1)
    pixels = min(fitting, -(-P * Q // threads))
    if pixels < Q:
        return tuple(
            Block(row, row + 1, column, column_stop)
            for row in range(P)
            for column, column_stop in split(Q, -(-Q // pixels))
        )
    pieces = -(-P // (pixels // Q))
    even = -(-pieces // threads) * threads
    return tuple(Block(row, row_stop, 0, Q) for row, row_stop in split(P, min(even, P)))


def cut_rows(rows: int, row_size: int, threads: int) -> list[tuple[int, int]]:
    """The first and the stop of pieces of rows of `row_size` numbers that fit a cache."""
    pieces = -(-rows * row_size // SMALL_WORK)
    return split(rows, min(rows, -(-pieces // threads) * threads if pieces > 1 else 1))
