"""What the steps of a convolution cost, in multiply-adds of a large matrix product on the same core.

A core that makes c multiply-adds a second in a large product reads or writes about c / 4 numbers a second that lie in
its cache, whatever c is on a recent processor: vector units and caches grew together. benchmarks/cpu_convolutions.py
holds these figures against the clock.
"""

from __future__ import annotations

#: Columns that a product's innermost kernel computes at a time: a vector of the processor.
LANES = 16
#: A shorter sum takes as long as one of so many numbers: the product is brought in and out of the registers.
LEAST_DEPTH = 16
#: Writing a number of a product, and reading it again while it is in cache.
WRITTEN = 4.0
#: Packing a number of either matrix into the order in which the BLAS multiplies it.
PACKED = 1.5
#: Packing a number of a matrix that is turned round as it is packed.
PACKED_ACROSS = 6.0
#: Reading a number and writing it elsewhere, in long runs.
COPIED = 4.0
#: Beginning a run in NumPy's loops.
RUN = 300.0
#: Copying a number to another order, so that neighbours no longer are.
TURNED = 16.0
#: Adding a number to another: two are read, one is written.
ADDED = 5.0
#: A multiply-add outside a matrix product, whose operands come from the cache and return to it.
MULTIPLIED_ADDED = 9.0
#: Numbers that fit a core's own cache, of the second level: 1 MB is common.
CACHE = 1 << 18
#: What reading and writing a number beyond it adds.
FAR = 20.0
#: Numbers of a block (cutting.BLOCK_BYTES), and blocks that work is cut into at least.
BLOCK = 3 << 18
SHARES = 2
#: A NumPy call, and the Python code around it, with two threads at the interpreter's lock: about three microseconds.
CALL = 150_000.0
#: The calls for a phase of backward-data.
PHASE = 30 * CALL


def product(rows: float, depth: float, columns: int, count: float = 1) -> float:
    """`count` matrix products (rows, depth) x (depth, columns)."""
    whole, deep = -(-columns // LANES) * LANES, max(depth, LEAST_DEPTH)
    return count * (rows * deep * whole + PACKED * depth * (rows + columns) + WRITTEN * rows * columns)


def product_by_blocks(rows: float, depth: float, columns: int, count: float = 1) -> float:
    """The same in blocks of rows, each of which packs the second matrix anew; every thread has one at least."""
    blocks = max(SHARES, rows * depth / BLOCK)
    numbers = count * depth * columns
    packing = (blocks - 1) * PACKED * numbers + far(blocks * numbers, int(numbers))
    return product(rows, depth, columns, count) + packing


def summed_product(rows: int, depth: float, columns: int, count: float = 1) -> float:
    """`count` products of few rows and columns and a long sum between them."""
    whole = -(-columns // LANES) * LANES
    return count * depth * (rows * whole + PACKED * (rows + columns))


def slots(numbers: int) -> float:
    """Writing sums of so many numbers, one for each thread, and adding them up."""
    return SHARES * (WRITTEN * numbers + far(numbers, SHARES * numbers)) + ADDED * numbers


def far(numbers: float, at_a_time: int) -> float:
    """What passing over numbers adds when that many are worked on at a time."""
    return FAR * numbers if at_a_time > CACHE else 0.0


def copy(numbers: float, run: float) -> float:
    """Copying numbers in runs of `run`."""
    return numbers * (COPIED + RUN / max(run, 1))
