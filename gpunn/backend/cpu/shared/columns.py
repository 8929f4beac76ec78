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
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.activation_functions import apply_activation
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block

#: Several rows are joined to one of at most this many numbers, so that NumPy's inner loops are long.
WIDTH = 4096
#: Sums are kept in this many parts, whatever the number of threads, and added in order.
PARTS = 16
#: Means of up to this many deviations need not be subtracted first: cancellation costs the sums four bits at most.
NEAR = 4.0

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


def _blocks(x: Array, leading: int) -> tuple[Index, ...]:
    """The rows in blocks, for two arrays of each in the cache: what is read and what is written."""
    return blocks(x.shape[:leading], 2 * prod(x.shape[leading:]))


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


def _sums(first: Array, second: Array, columns: int) -> tuple[Array, Array]:
    """float64 sums of the columns of `first`, and of its product with `second`."""
    product = np.einsum("ij,ij->j", first, second)
    return _column_sums(np.add.reduce(first, axis=0), columns), _column_sums(product, columns)


def _block_moments(device: CpuDevice, block: Array, columns: int) -> tuple[Array, Array]:
    """Mean and sum of squared distances of one block.

    Where a mean is large beside its deviation, the squares are summed anew after it is subtracted: the difference
    of two large sums would be rounding alone.
    """
    joined = _joined(device, _FIRST, block, columns)
    count = joined.size // columns
    total, squares = _sums(joined, joined, columns)
    mean = total / count
    distances = squares - mean * total
    if not (mean * total > NEAR**2 * distances).any():
        return mean, distances
    shift = mean.astype(block.dtype)
    distance = device.scratch(_RESULT, joined.shape, block.dtype)
    np.subtract(joined, np.tile(shift, joined.shape[1] // columns), out=distance)
    total, squares = _sums(distance, distance, columns)
    return shift + total / count, np.maximum(squares - total * total / count, 0)


def column_moments(device: CpuDevice, x: Array, leading: int) -> Moments:
    """The moments of the columns of x, whose first `leading` axes are the rows.

    Sums run in the type of x over a few hundred numbers, then in float64.
    """
    columns = prod(x.shape[leading:])
    parts = _parts(_blocks(x, leading))
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


def column_products(device: CpuDevice, gy: Array, x: Array, shift: Array | None, leading: int) -> tuple[Array, Array]:
    """float64 sums over the rows of gy, and of gy * (x - shift)."""
    columns = prod(x.shape[leading:])
    parts = _parts(_blocks(x, leading))
    shifts = None if shift is None else _repeated(shift, x.dtype)
    sums = device.scratch(_PARTS, (len(parts), 2, columns), np.float64)
    sums.fill(0)

    def work(part: int) -> None:
        for index in parts[part]:
            inputs = _joined(device, _FIRST, x[index], columns)
            if shifts is not None:
                distance = device.scratch(_RESULT, inputs.shape, x.dtype)
                np.subtract(inputs, shifts[: inputs.shape[1]], out=distance)
                inputs = distance
            sums[part] += _sums(_joined(device, _SECOND, gy[index], columns), inputs, columns)

    for_each_block(device, work, range(len(parts)), x.size)
    total, product = np.add.reduce(sums, axis=0)
    return total, product


@dataclass(frozen=True)
class Affine:
    """(x - shift) * scale + offset, a number each a column; no shift is a shift by 0."""

    shift: Array | None
    scale: Array
    offset: Array

    def repeated(self, dtype: DType) -> Affine:
        """The same for joined rows."""
        shift = None if self.shift is None else _repeated(self.shift, dtype)
        return Affine(shift, _repeated(self.scale, dtype), _repeated(self.offset, dtype))

    def write(self, result: Array, inputs: Array) -> None:
        """result = (inputs - shift) * scale + offset for a matrix of joined rows."""
        width = inputs.shape[1]
        if self.shift is not None:
            np.subtract(inputs, self.shift[:width], out=result)
            inputs = result
        np.multiply(inputs, self.scale[:width], out=result)
        np.add(result, self.offset[:width], out=result)


def apply_affine(
    device: CpuDevice, y: Array, x: Array, affine: Affine, leading: int, activation: Activation = LINEAR
) -> None:
    """y = f((x - shift) * scale + offset); y may be x."""
    columns = prod(x.shape[leading:])
    repeated = affine.repeated(x.dtype)

    def work(index: Index) -> None:
        inputs = _joined(device, _FIRST, x[index], columns)
        result = _joined_output(device, _RESULT, y[index], inputs)
        repeated.write(result, inputs)
        if activation.name != "linear":
            apply_activation(device, result, result, activation)
        _store(y[index], result)

    for_each_block(device, work, _blocks(x, leading), x.size)


def apply_affine_gradient(
    device: CpuDevice, gx: Array, gy: Array, x: Array, affine: Affine, factor: Array, leading: int, accumulate: bool
) -> None:
    """gx = gy * factor + (x - shift) * scale + offset, or gx += it; gx may be gy."""
    columns = prod(x.shape[leading:])
    repeated, factors = affine.repeated(x.dtype), _repeated(factor, x.dtype)

    def work(index: Index) -> None:
        target = gx[index]
        inputs = _joined(device, _FIRST, x[index], columns)
        gradients = _joined(device, _SECOND, gy[index], columns)
        result = device.scratch(_RESULT, inputs.shape, x.dtype)
        repeated.write(result, inputs)
        direct = device.scratch(_SECOND, inputs.shape, x.dtype)
        np.multiply(gradients, factors[: inputs.shape[1]], out=direct)
        if accumulate:
            np.add(result, direct, out=result)
            np.add(target, result.reshape(target.shape), out=target)
        else:
            np.add(result.reshape(target.shape), direct.reshape(target.shape), out=target)

    for_each_block(device, work, _blocks(x, leading), x.size)
