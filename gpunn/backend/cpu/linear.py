"""Fully connected layers on the CPU: one matrix product each, cut over the threads along its longer side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract import DType
from gpunn.backend.cpu.activation import activation_backward
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.epilogue import finish
from gpunn.backend.cpu.shared.pieces import split
from gpunn.geometry import LinearGeometry

Array = np.ndarray[Any, Any]

#: With fewer multiplications, a second thread costs more than it saves.
SMALL_PRODUCT = 1 << 21
#: Elements of a product that is added to a gradient: it is read back while it is in cache.
STAGED = 1 << 20
#: Rows of the weights that are multiplied at a time for the gradient of the inputs.
TURNED_ROWS = 512
#: Scratch of this file.
_PRODUCT, _BIAS = 300, 301


def linear_forward(
    device: CpuDevice,
    y: Array,
    x: Array,
    w: Array,
    bias: Array | None,
    geometry: LinearGeometry,
    activation: Activation,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """y = f(x w + bias): x (N, inputs), w (inputs, outputs)."""

    def end(part: Array, columns: slice) -> None:
        finish(device, part, None if bias is None else bias[columns], activation)

    _multiply(device, y, x, w, accumulate=False, end=end)


def linear_forward_workspace(device: CpuDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic) -> int:
    """None."""
    return 0


def linear_backward_data(
    device: CpuDevice,
    gx: Array,
    gy: Array,
    w: Array,
    saved: Array | None,
    geometry: LinearGeometry,
    activation: Activation,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """gx = gy w^T, times the derivative of the activation before it."""
    _multiply_turned(device, gx, w, gy, accumulate)
    if saved is not None:
        activation_backward(device, gx, gx, saved, activation, False)


def linear_backward_data_workspace(
    device: CpuDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """None."""
    return 0


def linear_backward_weight(
    device: CpuDevice,
    gw: Array,
    gbias: Array | None,
    x: Array,
    gy: Array,
    geometry: LinearGeometry,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """gw = x^T gy; gbias = the column sums of gy."""
    _multiply(device, gw, x.T, gy, accumulate)
    if gbias is None:
        return
    sums = device.scratch(_BIAS, gbias.shape, gbias.dtype) if accumulate else gbias
    with device.settings:
        np.add.reduce(gy, axis=0, out=sums)
        if accumulate:
            np.add(gbias, sums, out=gbias)


def linear_backward_weight_workspace(
    device: CpuDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """None."""
    return 0


def _multiply(
    device: CpuDevice,
    result: Array,
    left: Array,
    right: Array,
    accumulate: bool,
    end: Callable[[Array, slice], None] | None = None,
) -> None:
    """result = left @ right, or += with `accumulate`; `end` gets each part of the result and its columns."""
    device.journal.chose("BLAS")
    rows, columns = result.shape
    pieces = _pieces(device, rows * columns * left.shape[1], -(-result.size // STAGED) if accumulate else 1)
    cut_rows = rows >= columns
    spans = split(max(rows, columns), min(pieces, max(rows, columns)))

    def work(index: int) -> None:
        span, whole = slice(*spans[index]), slice(None)
        down, across = (span, whole) if cut_rows else (whole, span)
        part = result[down, across]
        if accumulate:
            product = device.scratch(_PRODUCT, part.shape, part.dtype)
            np.matmul(left[down], right[:, across], out=product)
            np.add(part, product, out=part)
        else:
            np.matmul(left[down], right[:, across], out=part)
        if end is not None:
            end(part, across)

    device.parallel(work, range(len(spans)))


def _multiply_turned(device: CpuDevice, result: Array, left: Array, right: Array, accumulate: bool) -> None:
    """result = right @ left^T, or += with `accumulate`, piece by piece as the transpose of left @ right^T.

    The weights are by far the larger factor; BLAS takes a tenth to a half less time where it need not turn them.
    """
    device.journal.chose("BLAS")
    rows, depth = left.shape
    pieces = min(rows, _pieces(device, rows * depth * len(right), -(-rows // TURNED_ROWS)))
    spans = split(rows, pieces)

    def work(index: int) -> None:
        span = slice(*spans[index])
        part = result[:, span]
        product = device.scratch(_PRODUCT, part.shape[::-1], part.dtype)
        np.matmul(left[span], right.T, out=product)
        if accumulate:
            np.add(part, product.T, out=part)
        else:
            np.copyto(part, product.T)

    device.parallel(work, range(len(spans)))


def _pieces(device: CpuDevice, multiplications: int, least: int) -> int:
    """How many pieces a product is cut into: `least` or more, as many for every thread."""
    threads = 1 if multiplications < SMALL_PRODUCT else device.threads
    return -(-least // threads) * threads
