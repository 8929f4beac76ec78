"""Images seen as a matrix whose columns are normalised: its moments, and the passes that apply them.

The leading axes in the order of memory are the rows of the matrix; the others are its columns. Batch norm has a
column for each channel, group norm one for each channel of each image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod

import numpy as np

from gpunn.backend.attributes import LINEAR, Activation
from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.activation import apply_activation
from gpunn.backend.cpu.blocks import Index, blocks, for_each_block
from gpunn.backend.cpu.device import CpuDevice

#: Several rows are joined to one of at most this many numbers, so that NumPy's inner loops are long.
WIDTH = 4096
#: Sums are kept in this many parts, whatever the number of threads, and added in order.
PARTS = 16
#: Of each block, one row in so many gives the value that is subtracted before squares are summed.
SAMPLE = 8

#: Scratch of this file: a block made contiguous, a second one, an intermediate result, and the parts of sums.
_FIRST, _SECOND, _RESULT, _PARTS = 0, 1, 2, 3


@dataclass(frozen=True)
class Moments:
    """Mean and sum of squared distances from it, float64, for each column of `count` rows."""

    count: int
    mean: Array
    squares: Array


@lru_cache(maxsize=1024)
def _rows_to_join(rows: int, columns: int) -> int:
    """The largest divisor of `rows` with which a joined row is no longer than WIDTH."""
    most = max(1, min(rows, WIDTH // columns))
    return next(joined for joined in range(most, 0, -1) if rows % joined == 0)


def _joined(device: CpuDevice, slot: int, block: Array, columns: int) -> Array:
    """A block as a contiguous matrix of joined rows: a view, or a copy in scratch memory."""
    if not block.flags.c_contiguous:
        dense = device.scratch(slot, block.shape, block.dtype)
        np.copyto(dense, block)
        block = dense
    rows = block.size // columns
    return block.reshape(-1, _rows_to_join(rows, columns) * columns)


def _joined_output(device: CpuDevice, slot: int, block: Array, like: Array) -> Array:
    """Where to write a block: itself as a matrix if contiguous, else scratch memory to be copied from."""
    if block.flags.c_contiguous:
        return block.reshape(like.shape)
    return device.scratch(slot, like.shape, block.dtype)


def _store(block: Array, result: Array) -> None:
    if not np.may_share_memory(block, result):
        np.copyto(block, result.reshape(block.shape))


def _repeated(vector: Array, dtype: DType) -> Array:
    """A value a column, repeated for as many joined rows as there may be."""
    return np.tile(vector.reshape(-1).astype(dtype), max(1, WIDTH // vector.size))


def _column_sums(joined: Array, columns: int) -> Array:
    """float64 sums of the columns of a matrix of joined rows."""
    return np.add.reduce(joined.reshape(-1, columns), axis=0, dtype=np.float64)


def _parts(pieces: tuple[Index, ...]) -> list[tuple[Index, ...]]:
    count = min(PARTS, len(pieces))
    bounds = [len(pieces) * part // count for part in range(count + 1)]
    return [pieces[start:stop] for start, stop in pairwise(bounds)]


def _rows(part: tuple[Index, ...]) -> int:
    return sum(prod(cut.stop - cut.start for cut in index) for index in part)


def _merge(mean: Array, squares: Array, before: int, count: int, new_mean: Array, new_squares: Array) -> None:
    """Add the moments of `count` more rows to those of `before` rows (Chan, Golub and LeVeque, 1979)."""
    distance = new_mean - mean
    mean += distance * (count / (before + count))
    squares += new_squares + distance**2 * (before * count / (before + count))


def _block_moments(device: CpuDevice, block: Array, columns: int) -> tuple[Array, Array]:
    """Mean and sum of squared distances of one block.

    The mean of a sample of the rows is subtracted first. As the sample is a fixed share of the block, what its
    mean misses the true one by is at most sqrt(SAMPLE) deviations: squares never cancel to noise.
    """
    joined = _joined(device, _FIRST, block, columns)
    count = joined.size // columns
    sample = joined[:: SAMPLE if joined.shape[0] >= SAMPLE else 1]
    shift = (_column_sums(np.add.reduce(sample, axis=0), columns) * (columns / sample.size)).astype(block.dtype)
    distance = device.scratch(_RESULT, joined.shape, block.dtype)
    np.subtract(joined, np.tile(shift, joined.shape[1] // columns), out=distance)
    total = _column_sums(np.add.reduce(distance, axis=0), columns)
    np.multiply(distance, distance, out=distance)
    squares = _column_sums(np.add.reduce(distance, axis=0), columns)
    return shift + total / count, np.maximum(squares - total * total / count, 0)


def column_moments(device: CpuDevice, x: Array, leading: int) -> Moments:
    """The moments of the columns of x, whose first `leading` axes are the rows.

    Sums run in the type of x over a few hundred numbers, then in float64.
    """
    columns = prod(x.shape[leading:])
    parts = _parts(blocks(x.shape[:leading], columns))
    sums = device.scratch(_PARTS, (len(parts), 2, columns), np.float64)
    sums.fill(0)

    def work(part: int) -> None:
        mean, squares = sums[part]
        done = 0
        for index in parts[part]:
            block = x[index]
            count = block.size // columns
            _merge(mean, squares, done, count, *_block_moments(device, block, columns))
            done += count

    for_each_block(device, work, range(len(parts)), x.size)
    mean, squares = np.zeros(columns), np.zeros(columns)
    done = 0
    for part, (part_mean, part_squares) in zip(parts, sums, strict=True):
        count = _rows(part)
        _merge(mean, squares, done, count, part_mean, part_squares)
        done += count
    return Moments(done, mean, squares)


def column_products(device: CpuDevice, gy: Array, x: Array, shift: Array, leading: int) -> tuple[Array, Array]:
    """float64 sums over the rows of gy, and of gy * (x - shift)."""
    columns = prod(x.shape[leading:])
    parts = _parts(blocks(x.shape[:leading], columns))
    shifts = _repeated(shift, x.dtype)
    sums = device.scratch(_PARTS, (len(parts), 2, columns), np.float64)
    sums.fill(0)

    def work(part: int) -> None:
        for index in parts[part]:
            inputs = _joined(device, _FIRST, x[index], columns)
            gradients = _joined(device, _SECOND, gy[index], columns)
            product = device.scratch(_RESULT, inputs.shape, x.dtype)
            np.subtract(inputs, shifts[: inputs.shape[1]], out=product)
            np.multiply(product, gradients, out=product)
            sums[part, 0] += _column_sums(np.add.reduce(gradients, axis=0), columns)
            sums[part, 1] += _column_sums(np.add.reduce(product, axis=0), columns)

    for_each_block(device, work, range(len(parts)), x.size)
    total, product = np.add.reduce(sums, axis=0)
    return total, product


@dataclass(frozen=True)
class Affine:
    """(x - shift) * scale + offset, a number each a column."""

    shift: Array
    scale: Array
    offset: Array


def apply_affine(
    device: CpuDevice, y: Array, x: Array, affine: Affine, leading: int, activation: Activation = LINEAR
) -> None:
    """y = f((x - shift) * scale + offset); y may be x."""
    columns = prod(x.shape[leading:])
    shift, scale, offset = (_repeated(vector, x.dtype) for vector in (affine.shift, affine.scale, affine.offset))

    def work(index: Index) -> None:
        inputs = _joined(device, _FIRST, x[index], columns)
        width = inputs.shape[1]
        result = _joined_output(device, _RESULT, y[index], inputs)
        np.subtract(inputs, shift[:width], out=result)
        np.multiply(result, scale[:width], out=result)
        np.add(result, offset[:width], out=result)
        if activation.name != "linear":
            apply_activation(device, result, result, activation)
        _store(y[index], result)

    for_each_block(device, work, blocks(x.shape[:leading], columns), x.size)


def apply_affine_gradient(
    device: CpuDevice, gx: Array, gy: Array, x: Array, affine: Affine, factor: Array, leading: int, accumulate: bool
) -> None:
    """gx = gy * factor + (x - shift) * scale + offset, or gx += it; gx may be gy."""
    columns = prod(x.shape[leading:])
    shift, scale, offset, factors = (
        _repeated(vector, x.dtype) for vector in (affine.shift, affine.scale, affine.offset, factor)
    )

    def work(index: Index) -> None:
        target = gx[index]
        inputs = _joined(device, _FIRST, x[index], columns)
        gradients = _joined(device, _SECOND, gy[index], columns)
        width = inputs.shape[1]
        result = device.scratch(_RESULT, inputs.shape, x.dtype)
        np.subtract(inputs, shift[:width], out=result)
        np.multiply(result, scale[:width], out=result)
        np.add(result, offset[:width], out=result)
        direct = device.scratch(_SECOND, inputs.shape, x.dtype)
        np.multiply(gradients, factors[:width], out=direct)
        if accumulate:
            np.add(result, direct, out=result)
            np.add(target, result.reshape(target.shape), out=target)
        else:
            np.add(result.reshape(target.shape), direct.reshape(target.shape), out=target)

    for_each_block(device, work, blocks(x.shape[:leading], columns), x.size)
