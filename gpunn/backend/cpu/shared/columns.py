"""Images seen as a matrix whose columns are normalised: its moments, and the passes that apply them.

The leading axes in the order of memory are the rows of the matrix; the others are its columns. Batch norm has a
column for each channel, group norm one for each channel of each image. With small images the number of NumPy calls
counts, not that of passes: what is done for each column is done for all of them in as few calls as can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpunn.backend.attributes import LINEAR, Activation
from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.activation_functions import apply_activation
from gpunn.backend.cpu.shared.blocks import for_each_block
from gpunn.backend.cpu.shared.rows import Block, RowPlan, join, join_vectors, joined_result, row_plan, rows_of, store

#: Means of up to this many deviations need not be subtracted first: cancellation costs the sums four bits at most.
NEAR = 4.0
#: Rows that are added up in their own type at most, before float64 takes over.
LONGEST_SUM = 1024
#: NumPy calls that go over all numbers.
_SUMMING, _APPLYING, _APPLYING_GRADIENT = 2, 3, 4

#: Scratch of this file: a block made contiguous, a second one, an intermediate result, sums of all blocks and of one,
#: a column of ones, moments of all blocks, and vectors as long as joined rows.
_FIRST, _SECOND, _RESULT, _SUMS, _JOINED_SUMS, _ONES, _MOMENTS, _VECTORS = 0, 1, 2, 3, 4, 5, 6, 7


@dataclass(frozen=True)
class Moments:
    """Mean and sum of squared distances from it, float64, for each column of `count` rows.

    Attributes:
        near: no mean is large beside its deviation.
    """

    count: int
    mean: Array
    squares: Array
    near: bool


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
    device: CpuDevice, columns: int, count: int, size: int, operands: Callable[[int], tuple[Array, Array]]
) -> Array:
    """_sums of the operands of `count` blocks of an array of `size`: (count, 2, columns), in scratch memory."""
    sums = device.scratch(_SUMS, (count, 2, columns), np.float64)

    def work(number: int) -> None:
        _sums(device, sums[number], *operands(number))

    for_each_block(device, work, range(count), _SUMMING * size)
    return sums


def column_moments(device: CpuDevice, x: Array, leading: int) -> Moments:
    """The moments of the columns of x, whose first `leading` axes are the rows.

    Where a mean is large beside its deviation, the squares are summed anew behind the mean of each block that is: the
    difference of two large sums would be rounding alone.
    """
    plan, rows = row_plan(x.shape, leading, device.threads, _SUMMING), rows_of(x, leading)

    def squared(number: int) -> tuple[Array, Array]:
        joined = join(device, _FIRST, rows, plan.blocks[number], plan.columns)
        return joined, joined

    sums = _sums_of_blocks(device, plan.columns, len(plan.blocks), x.size, squared)
    total, squares = sums[0] if len(sums) == 1 else np.add.reduce(sums, axis=0)
    mean = total / len(rows)
    of_mean = mean * total
    squares = squares - of_mean
    if not (of_mean > NEAR**2 * squares).any():
        return Moments(len(rows), mean, squares, True)
    return _moments_of_blocks(device, x, plan, sums, squared)


def _moments_of_blocks(
    device: CpuDevice, x: Array, plan: RowPlan, sums: Array, squared: Callable[[int], tuple[Array, Array]]
) -> Moments:
    """Moments of each block, joined (Chan, Golub and LeVeque, 1979), from the sums of all blocks."""
    means, squares, spare = device.scratch(_MOMENTS, (3, len(plan.counts), plan.columns), np.float64)
    np.divide(sums[:, 0], plan.counts, out=means)
    np.multiply(means, sums[:, 0], out=spare)
    np.subtract(sums[:, 1], spare, out=squares)
    far = np.flatnonzero((spare > NEAR**2 * squares).any(axis=1))
    if far.size:
        shifts = means[far].astype(x.dtype)

        def distances(place: int) -> tuple[Array, Array]:
            joined, _ = squared(far[place])
            distance = device.scratch(_RESULT, joined.shape, x.dtype)
            np.subtract(joined, np.tile(shifts[place], joined.shape[1] // plan.columns), out=distance)
            return distance, distance

        sums = _sums_of_blocks(device, plan.columns, len(far), x.size, distances)
        offsets = sums[:, 0] / plan.counts[far]
        means[far] = shifts + offsets
        squares[far] = np.maximum(sums[:, 1] - offsets * sums[:, 0], 0)
    np.multiply(means, plan.counts, out=spare)
    count = int(plan.counts.sum())
    mean = spare.sum(axis=0) / count
    np.subtract(means, mean, out=spare)
    np.multiply(spare, spare, out=spare)
    np.multiply(spare, plan.counts, out=spare)
    return Moments(count, mean, squares.sum(axis=0) + spare.sum(axis=0), False)


def column_products(device: CpuDevice, gy: Array, x: Array, shift: Array | None, leading: int) -> tuple[Array, Array]:
    """float64 sums over the rows of gy, and of gy * (x - shift)."""
    plan = row_plan(x.shape, leading, device.threads, _SUMMING)
    inputs, gradients = rows_of(x, leading), rows_of(gy, leading)
    shifts = None if shift is None else join_vectors(device, _VECTORS, plan, x.dtype, shift)[0]

    def operands(number: int) -> tuple[Array, Array]:
        block = plan.blocks[number]
        joined = join(device, _FIRST, inputs, block, plan.columns)
        if shifts is not None:
            distance = device.scratch(_RESULT, joined.shape, x.dtype)
            np.subtract(joined, shifts[: joined.shape[1]], out=distance)
            joined = distance
        return join(device, _SECOND, gradients, block, plan.columns), joined

    sums = _sums_of_blocks(device, plan.columns, len(plan.blocks), x.size, operands)
    total, product = sums[0] if len(sums) == 1 else np.add.reduce(sums, axis=0)
    return total, product


@dataclass(frozen=True)
class Affine:
    """(x - shift) * scale + offset, a number each a column; no shift is a shift by 0."""

    shift: Array | None
    scale: Array
    offset: Array

    @property
    def vectors(self) -> tuple[Array, ...]:
        """Those that there are: scale, offset, shift."""
        return (self.scale, self.offset) if self.shift is None else (self.scale, self.offset, self.shift)


def _write(result: Array, inputs: Array, scale: Array, offset: Array, shift: Array | None = None) -> None:
    """result = (inputs - shift) * scale + offset for a matrix of joined rows."""
    if shift is not None:
        inputs = np.subtract(inputs, shift, out=result)
    np.multiply(inputs, scale, out=result)
    np.add(result, offset, out=result)


def apply_affine(
    device: CpuDevice, y: Array, x: Array, affine: Affine, leading: int, activation: Activation = LINEAR
) -> None:
    """y = f((x - shift) * scale + offset); y may be x."""
    plan = row_plan(x.shape, leading, device.threads, _APPLYING)
    inputs, results = rows_of(x, leading), rows_of(y, leading)
    vectors = join_vectors(device, _VECTORS, plan, x.dtype, *affine.vectors)

    def work(block: Block) -> None:
        joined = join(device, _FIRST, inputs, block, plan.columns)
        result = joined_result(device, _RESULT, results, block, plan.columns)
        _write(result, joined, *vectors[:, : joined.shape[1]])
        if activation.name != "linear":
            apply_activation(device, result, result, activation)
        store(results, block, result)

    for_each_block(device, work, plan.blocks, _APPLYING * x.size)


def apply_affine_gradient(
    device: CpuDevice, gx: Array, gy: Array, x: Array, affine: Affine, factor: Array, leading: int, accumulate: bool
) -> None:
    """gx = gy * factor + (x - shift) * scale + offset, or gx += it; gx may be gy."""
    plan = row_plan(x.shape, leading, device.threads, _APPLYING_GRADIENT)
    inputs, gradients, results = (rows_of(array, leading) for array in (x, gy, gx))
    vectors = join_vectors(device, _VECTORS, plan, x.dtype, factor, *affine.vectors)

    def work(block: Block) -> None:
        joined = join(device, _FIRST, inputs, block, plan.columns)
        upstream = join(device, _SECOND, gradients, block, plan.columns)
        through = device.scratch(_RESULT, joined.shape, x.dtype)
        own_factor, *own = vectors[:, : joined.shape[1]]
        _write(through, joined, *own)
        if accumulate:
            direct = device.scratch(_SECOND, joined.shape, x.dtype)
        else:
            direct = joined_result(device, _SECOND, results, block, plan.columns)
        np.multiply(upstream, own_factor, out=direct)
        np.add(direct, through, out=direct)
        if accumulate:
            target = results[block.rows]
            np.add(target, direct.reshape(target.shape), out=target)
        else:
            store(results, block, direct)

    for_each_block(device, work, plan.blocks, _APPLYING_GRADIENT * x.size)
