"""Softmax over the classes of each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import piece_spans

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_PRODUCT, _ROW = 120, 121


def softmax_forward(device: CpuDevice, y: Host, x: Host) -> None:
    """y = exp(x - largest) / sum of exp(x - largest), row by row; y may be x."""
    spans = piece_spans(x.shape[0], x.size)

    def work(piece: int) -> None:
        part, result = x[spans[piece]], y[spans[piece]]
        row = device.scratch(_ROW, (len(part), 1), x.dtype)
        np.maximum.reduce(part, axis=1, keepdims=True, out=row)
        np.subtract(part, row, out=result)
        np.exp(result, out=result)
        np.add.reduce(result, axis=1, keepdims=True, out=row)
        np.divide(result, row, out=result)

    device.parallel(work, range(len(spans)))


def softmax_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, accumulate: bool) -> None:
    """gx = y (gy - sum of gy y over the row); gx may be gy."""
    spans = piece_spans(y.shape[0], y.size)

    def work(piece: int) -> None:
        result, gradient, part = gx[spans[piece]], gy[spans[piece]], y[spans[piece]]
        product = device.scratch(_PRODUCT, part.shape, part.dtype)
        row = device.scratch(_ROW, (len(part), 1), part.dtype)
        np.multiply(gradient, part, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=row)
        np.subtract(gradient, row, out=product)
        if accumulate:
            np.multiply(product, part, out=product)
            np.add(result, product, out=result)
        else:
            np.multiply(product, part, out=result)

    device.parallel(work, range(len(spans)))
