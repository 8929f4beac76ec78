"""Activations of whole arrays, and the ReLU whose slope is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation
from gpunn.backend.cpu.device import CpuDevice, memory_order
from gpunn.backend.cpu.shared.activation_functions import (
    apply_activation,
    apply_derivative,
    backward_passes,
    choose,
    forward_passes,
    positive_mask,
)
from gpunn.backend.cpu.shared.pieces import for_each_piece, piece_spans

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_PRODUCT = 103


def activation_forward(device: CpuDevice, y: Host, x: Host, function: Activation) -> None:
    """y = f(x); y may be x. A NaN stays one, except in the step function, where it gives 0."""
    for_each_piece(device, lambda y, x: apply_activation(device, y, x, function), y, x, passes=forward_passes(function))


def activation_backward(
    device: CpuDevice, gx: Host, gy: Host, saved: Host, function: Activation, accumulate: bool
) -> None:
    """gx = gy f'; gx may be gy. Where `saved` is NaN, the ReLU family takes the derivative of the left side."""

    def work(gx: Host, gy: Host, saved: Host) -> None:
        if accumulate:
            product = device.scratch(_PRODUCT, gx.shape, gx.dtype)
            apply_derivative(device, product, gy, saved, function)
            np.add(gx, product, out=gx)
        else:
            apply_derivative(device, gx, gy, saved, function)

    for_each_piece(device, work, gx, gy, saved, passes=backward_passes(function) + accumulate)


def parametric_relu_forward(device: CpuDevice, y: Host, x: Host, slope: Host) -> None:
    """y = max(0, x) + slope[c] min(0, x)."""
    y, x = memory_order(y), memory_order(x)
    spans = piece_spans(x.shape[0], x.size)

    def work(piece: int) -> None:
        part, result = x[spans[piece]], y[spans[piece]]
        negative = device.scratch(_PRODUCT, part.shape, part.dtype)
        np.minimum(part, 0, out=negative)
        np.multiply(negative, slope, out=negative)
        np.maximum(part, 0, out=result)
        np.add(result, negative, out=result)

    device.parallel(work, range(len(spans)))


def parametric_relu_backward(
    device: CpuDevice,
    gx: Host | None,
    gslope: Host,
    gy: Host,
    x: Host,
    slope: Host,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """gx = gy where x > 0, else slope[c] gy; gslope[c] = the sum of gy min(0, x)."""
    gy, x = memory_order(gy), memory_order(x)
    into = None if gx is None else memory_order(gx)
    spans = piece_spans(x.shape[0], x.size)
    sums = np.empty((len(spans), x.shape[-1]), np.float64)

    def work(piece: int) -> None:
        part, gradient = x[spans[piece]], gy[spans[piece]]
        product = device.scratch(_PRODUCT, part.shape, part.dtype)
        np.minimum(part, 0, out=product)
        np.multiply(product, gradient, out=product)
        np.add.reduce(product, axis=tuple(range(part.ndim - 1)), dtype=np.float64, out=sums[piece])
        if into is not None:
            np.multiply(gradient, slope, out=product)
            if accumulate:
                choose(product, positive_mask(device, part), gradient, product)
                np.add(into[spans[piece]], product, out=into[spans[piece]])
            else:
                choose(into[spans[piece]], positive_mask(device, part), gradient, product)

    device.parallel(work, range(len(spans)))
    total = sums.sum(axis=0)
    np.copyto(gslope, gslope + total if accumulate_parameters else total, casting="same_kind")
