"""Activation functions and their derivatives, for arrays that fit a cache, on the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation, ActivationName
from gpunn.backend.cpu.device import CpuDevice

Host = np.ndarray[Any, Any]

#: Scratch of this file: numbers, masks of integers as wide as the numbers, truth values, and a row of zeros.
_NUMBERS, _INTEGERS, _TRUTH, _ZEROS = 100, 101, 102, 104

#: Numbers in the row of zeros: it stays in the first cache.
_ROW = 2048


def apply_activation(device: CpuDevice, y: Host, x: Host, function: Activation) -> None:
    """y = f(x); y may be x. A NaN stays one, except in the step function, where it gives 0."""
    _FORWARD[function.name](device, y, x, function.a)


def forward_passes(function: Activation) -> int:
    """How many NumPy calls over the whole array take as long; exp and tanh count as several."""
    return 1 if function.name in ("linear", "relu", "step") else 6


def backward_passes(function: Activation) -> int:
    """The same of the derivative."""
    return 3 if function.name in ("linear", "relu", "step") else 6


def apply_derivative(device: CpuDevice, gx: Host, gy: Host, saved: Host, function: Activation) -> None:
    """gx = gy f'; gx may be gy. Where `saved` is NaN, the ReLU family takes the derivative of the left side."""
    _BACKWARD[function.name](device, gx, gy, saved, function.a)


def _linear(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    if y is not x:
        np.copyto(y, x)


def _step(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    np.greater(x, 0, out=y)


def _sigmoid(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    np.negative(x, out=y)
    np.exp(y, out=y)
    np.add(y, 1, out=y)
    np.reciprocal(y, out=y)


def _tanh(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    np.tanh(x, out=y)


def _relu(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    # With a row of zeros NumPy uses vector instructions; with the number 0 it takes three times as long.
    zeros = device.scratch(_ZEROS, (_ROW,), x.dtype)
    zeros.fill(0)
    if not (x.flags.c_contiguous and y.flags.c_contiguous):
        width = x.shape[-1]
        np.maximum(x, zeros[:width] if width <= _ROW else 0, out=y)
        return
    values, result = x.reshape(-1), y.reshape(-1)
    rest = values.size % _ROW
    whole = values.size - rest
    if whole:
        np.maximum(values[:whole].reshape(-1, _ROW), zeros, out=result[:whole].reshape(-1, _ROW))
    if rest:
        np.maximum(values[whole:], zeros[:rest], out=result[whole:])


def _leaky_relu(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    scaled = device.scratch(_NUMBERS, x.shape, x.dtype)
    np.multiply(x, a, out=scaled)
    np.maximum(scaled, x, out=y)


def _generalized_relu(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    negative = device.scratch(_NUMBERS, x.shape, x.dtype)
    np.minimum(x, 0, out=negative)
    np.multiply(negative, a, out=negative)
    np.maximum(x, 0, out=y)
    np.add(y, negative, out=y)


def _elu(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    negative = device.scratch(_NUMBERS, x.shape, x.dtype)
    np.minimum(x, 0, out=negative)
    np.expm1(negative, out=negative)
    np.multiply(negative, a, out=negative)
    np.maximum(x, 0, out=y)
    np.add(y, negative, out=y)


def _softplus(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    """log(1 + exp(x)) = max(0, x) + log(1 + exp(-|x|)), whose exponential cannot overflow."""
    tail = device.scratch(_NUMBERS, x.shape, x.dtype)
    np.abs(x, out=tail)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(x, 0, out=y)
    np.add(y, tail, out=y)


def _swish(device: CpuDevice, y: Host, x: Host, a: float) -> None:
    sigmoid = device.scratch(_NUMBERS, x.shape, x.dtype)
    _sigmoid(device, sigmoid, x, a)
    np.multiply(x, sigmoid, out=y)


def _linear_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, a: float) -> None:
    if gx is not gy:
        np.copyto(gx, gy)


def _step_backward(device: CpuDevice, gx: Host, gy: Host, x: Host, a: float) -> None:
    gx.fill(0)


def _sigmoid_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, a: float) -> None:
    """f' = y (1 - y)."""
    slope = device.scratch(_NUMBERS, y.shape, y.dtype)
    np.subtract(1, y, out=slope)
    np.multiply(slope, y, out=slope)
    np.multiply(gy, slope, out=gx)


def _tanh_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, a: float) -> None:
    """f' = 1 - y^2."""
    slope = device.scratch(_NUMBERS, y.shape, y.dtype)
    np.multiply(y, y, out=slope)
    np.subtract(1, slope, out=slope)
    np.multiply(gy, slope, out=gx)


def _relu_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, a: float) -> None:
    # Bits times 1 or 0: a product with the number itself would make NaN of an infinity.
    truth = device.scratch(_TRUTH, y.shape, np.bool_)
    kept = device.scratch(_INTEGERS, y.shape, np.dtype(f"i{y.itemsize}"))
    np.greater(y, 0, out=truth)
    np.copyto(kept, truth)
    np.multiply(gy.view(kept.dtype), kept, out=gx.view(kept.dtype))


def _sloped_backward(device: CpuDevice, gx: Host, gy: Host, saved: Host, a: float) -> None:
    """f' = 1 where positive, else a."""
    scaled = device.scratch(_NUMBERS, gy.shape, gy.dtype)
    np.multiply(gy, a, out=scaled)
    choose(gx, positive_mask(device, saved), gy, scaled)


def _elu_backward(device: CpuDevice, gx: Host, gy: Host, saved: Host, a: float) -> None:
    """f' = 1 where positive, else a exp(x), which is y + a; a < 0 saves x, because y then hides its sign."""
    slope = device.scratch(_NUMBERS, gy.shape, gy.dtype)
    if a < 0:
        np.minimum(saved, 0, out=slope)
        np.exp(slope, out=slope)
        np.multiply(slope, a, out=slope)
    else:
        np.add(saved, a, out=slope)
    np.multiply(gy, slope, out=slope)
    choose(gx, positive_mask(device, saved), gy, slope)


def _softplus_backward(device: CpuDevice, gx: Host, gy: Host, y: Host, a: float) -> None:
    """f' = sigmoid(x) = 1 - exp(-y)."""
    slope = device.scratch(_NUMBERS, y.shape, y.dtype)
    np.negative(y, out=slope)
    np.expm1(slope, out=slope)
    np.negative(slope, out=slope)
    np.multiply(gy, slope, out=gx)


def _swish_backward(device: CpuDevice, gx: Host, gy: Host, x: Host, a: float) -> None:
    """f' = s (1 + x (1 - s)), s = sigmoid(x)."""
    sigmoid = device.scratch(_NUMBERS, x.shape, x.dtype)
    slope = device.scratch(_INTEGERS, x.shape, x.dtype)
    _sigmoid(device, sigmoid, x, a)
    np.subtract(1, sigmoid, out=slope)
    np.multiply(slope, x, out=slope)
    np.add(slope, 1, out=slope)
    np.multiply(slope, sigmoid, out=slope)
    np.multiply(gy, slope, out=gx)


def positive_mask(device: CpuDevice, values: Host) -> Host:
    """All bits where a value is above zero, none elsewhere; a product with 0 would make NaN of an infinity."""
    truth = device.scratch(_TRUTH, values.shape, np.bool_)
    mask = device.scratch(_INTEGERS, values.shape, np.dtype(f"i{values.itemsize}"))
    np.greater(values, 0, out=truth)
    np.negative(truth.view(np.int8), out=mask)
    return mask


def choose(result: Host, mask: Host, chosen: Host, other: Host) -> None:
    """result = chosen under the mask, other elsewhere; `mask` and `other` are overwritten."""
    bits, first = other.view(mask.dtype), chosen.view(mask.dtype)
    np.invert(mask, out=mask)
    np.bitwise_xor(bits, first, out=bits)
    np.bitwise_and(bits, mask, out=bits)
    np.bitwise_xor(bits, first, out=result.view(mask.dtype))


_Forward = Callable[[CpuDevice, Host, Host, float], None]
_Backward = Callable[[CpuDevice, Host, Host, Host, float], None]

_FORWARD: dict[ActivationName, _Forward] = {
    "linear": _linear,
    "step": _step,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "generalized_relu": _generalized_relu,
    "elu": _elu,
    "softplus": _softplus,
    "swish": _swish,
}

_BACKWARD: dict[ActivationName, _Backward] = {
    "linear": _linear_backward,
    "step": _step_backward,
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "relu": _relu_backward,
    "leaky_relu": _sloped_backward,
    "generalized_relu": _sloped_backward,
    "elu": _elu_backward,
    "softplus": _softplus_backward,
    "swish": _swish_backward,
}
