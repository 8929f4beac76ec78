"""Images seen as a matrix whose columns are normalised: its moments, and the passes that apply them.

The leading axes in the order of memory are the rows of the matrix; the others are its columns. Batch norm has a
column for each channel, group norm one for each channel of each image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from gpunn.backend.attributes import LINEAR, Activation
from gpunn.backend.contract import Array, DType
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.activation_functions import apply_activation
from gpunn.backend.cpu.shared.blocks import Index, blocks, for_each_block

#: Several rows are joined to one of at most this many numbers, so that NumPy's inner loops are long.
WIDTH = 4096
#: Means of up to this many deviations need not be subtracted first: cancellation costs the sums four bits at most.
NEAR = 4.0
#: Rows that are added up in their own type at most, before float64 takes over.
LONGEST_SUM = 1024

#: Scratch of this file: a block made contiguous, a second one, an intermediate result, sums of all blocks and of one,
#: a column of ones, and moments of all blocks.
_FIRST, _SECOND, _RESULT, _SUMS, _JOINED_SUMS, _ONES, _MOMENTS = 0, 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Moments:
    """Mean and sum of squared distances from it, float64, for each column of `count` rows."""

    count: int
    mean: Array
    squares: Array


@lru_cache(maxsize=1024)
def rows_to_join(rows: int, columns: int) -> int:
    """How many of `rows` rows make one no longer than WIDTH: a divisor, 1 if need be."""
    most = max(1, min(rows, WIDTH // columns))
    return next(joined for joined in range(most, 0, -1) if rows % joined == 0)


def _joined(device: CpuDevice, slot: int, block: Array, columns: int) -> Array:
    """A block as a contiguous matrix of joined rows: a view, or a copy in scratch memory."""
    if not block.flags.c_contiguous:
        dense = device.scratch(slot, block.shape, block.dtype)
        np.copyto(dense, block)
        block = dense
    rows = block.size // columns
    return block.reshape(-1, rows_to_join(rows, columns) * columns)


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


def _blocks(x: Array, leading: int) -> tuple[Index, ...]:
    """The rows in blocks."""
    return blocks(x.shape[:leading], prod(x.shape[leading:]))


def _sums(device: CpuDevice, into: Array, first: Array, second: Array) -> None:
    """into (2, columns) = float64 sums of the columns of `first`, and of its product with `second`.

    Both are matrices of joined rows. Sums run in their type over LONGEST_SUM rows at most, then in float64. A product
    with ones is twice as fast as a reduction.
    """
    ones = device.scratch(_ONES, (LONGEST_SUM,), first.dtype)
    ones.fill(1)
    rows, width = first.shape
    sums = device.scratch(_JOINED_SUMS, (-(-rows // LONGEST_SUM), 2, width), first.dtype)
    for place, start in enumerate(range(0, rows, LONGEST_SUM)):
        part = slice(start, min(start + LONGEST_SUM, rows))
        np.matmul(ones[: part.stop - start], first[part], out=sums[place, 0])
        np.einsum("ij,ij->j", first[part], second[part], out=sums[place, 1])
    np.add.reduce(sums.reshape(len(sums), 2, -1, into.shape[1]), axis=(0, 2), dtype=np.float64, out=into)


def _sums_of_blocks(
    device: CpuDevice, rows: Sequence[int], columns: int, operands: Callable[[int], tuple[Array, Array]]
) -> Array:
    """_sums of the operands of each block, which has so many rows: (blocks, 2, columns), in scratch memory."""
    sums = device.scratch(_SUMS, (len(rows), 2, columns), np.float64)

    def work(number: int) -> None:
        _sums(device, sums[number], *operands(number))

    for_each_block(device, work, range(len(rows)), columns * sum(rows))
    return sums


def column_moments(device: CpuDevice, x: Array, leading: int) -> Moments:
    """The moments of the columns of x, whose first `leading` axes are the rows.

    Those of blocks are joined at the end (Chan, Golub and LeVeque, 1979). Where a mean is large beside its deviation,
    the squares of a block are summed anew after the mean is subtracted: the difference of two large sums would be
    rounding alone.
    """
    columns = prod(x.shape[leading:])
    cuts = _blocks(x, leading)
    rows = [prod(cut.stop - cut.start for cut in index) for index in cuts]

    def block(number: int) -> tuple[Array, Array]:
        joined = _joined(device, _FIRST, x[cuts[number]], columns)
        return joined, joined

    counts = np.array(rows, np.float64)[:, np.newaxis]
    sums = _sums_of_blocks(device, rows, columns, block)
    means, squares, spare = device.scratch(_MOMENTS, (3, len(rows), columns), np.float64)
    np.divide(sums[:, 0], counts, out=means)
    np.multiply(means, sums[:, 0], out=spare)
    np.subtract(sums[:, 1], spare, out=squares)
    np.divide(spare, NEAR**2, out=spare)
    far = np.flatnonzero((spare > squares).any(axis=1))
    if far.size:
        shifts = means[far].astype(x.dtype)

        def distances(number: int) -> tuple[Array, Array]:
            joined, _ = block(far[number])
            distance = device.scratch(_RESULT, joined.shape, x.dtype)
            np.subtract(joined, np.tile(shifts[number], joined.shape[1] // columns), out=distance)
            return distance, distance

        sums = _sums_of_blocks(device, [rows[number] for number in far], columns, distances)
        offsets = sums[:, 0] / counts[far]
        means[far] = shifts + offsets
        squares[far] = np.maximum(sums[:, 1] - offsets * sums[:, 0], 0)
    count = sum(rows)
    np.multiply(means, counts, out=spare)
    mean = spare.sum(axis=0) / count
    np.subtract(means, mean, out=spare)
    np.multiply(spare, spare, out=spare)
    np.multiply(spare, counts, out=spare)
    return Moments(count, mean, squares.sum(axis=0) + spare.sum(axis=0))


def column_products(device: CpuDevice, gy: Array, x: Array, shift: Array | None, leading: int) -> tuple[Array, Array]:
    """float64 sums over the rows of gy, and of gy * (x - shift)."""
    columns = prod(x.shape[leading:])
    cuts = _blocks(x, leading)
    rows = [prod(cut.stop - cut.start for cut in index) for index in cuts]
    shifts = None if shift is None else _repeated(shift, x.dtype)

    def operands(number: int) -> tuple[Array, Array]:
        inputs = _joined(device, _FIRST, x[cuts[number]], columns)
        if shifts is not None:
            distance = device.scratch(_RESULT, inputs.shape, x.dtype)
            np.subtract(inputs, shifts[: inputs.shape[1]], out=distance)
            inputs = distance
        return _joined(device, _SECOND, gy[cuts[number]], columns), inputs

    total, product = np.add.reduce(_sums_of_blocks(device, rows, columns, operands), axis=0)
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
        if accumulate:
            direct = device.scratch(_SECOND, inputs.shape, x.dtype)
        else:
            direct = _joined_output(device, _SECOND, target, inputs)
        np.multiply(gradients, factors[: inputs.shape[1]], out=direct)
        np.add(direct, result, out=direct)
        if accumulate:
            np.add(target, direct.reshape(target.shape), out=target)
        else:
            _store(target, direct)

    for_each_block(device, work, _blocks(x, leading), x.size)
