"""Batch norm and group norm: forward, inference and backward.

Overflow and invalid operations pass silently: a step with infinite statistics is found by its loss.
"""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import Activation, Normalization
from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice, memory_order, quiet
from gpunn.backend.cpu.shared.columns import (
    NEAR,
    Affine,
    apply_affine,
    apply_affine_gradient,
    column_moments,
    column_products,
)


def _wide(vector: Array) -> Array:
    """A vector of a channel each, in float64."""
    return vector.astype(np.float64)


def _write_gradient(gradient: Array, value: Array, accumulate: bool) -> None:
    if accumulate:
        gradient += value.astype(gradient.dtype)
    else:
        np.copyto(gradient, value, casting="same_kind")


def _shift(mean: Array, inverse: Array) -> Array | None:
    """What to subtract before anything is multiplied; nothing where every mean is small beside its deviation."""
    return None if (np.abs(mean * inverse) <= NEAR).all() else mean


def _normalizing(mean: Array, inverse: Array, gamma: Array, beta: Array, shift: Array | None) -> Affine:
    """(x - mean) * inverse * gamma + beta; what the shift loses to rounding goes into the offset."""
    scale = inverse * gamma
    return Affine(shift, scale, beta - (mean if shift is None else mean - shift) * scale)


def _move(running: Array, batch: Array, momentum: float) -> None:
    """running = (1 - momentum) running + momentum batch."""
    step = np.subtract(batch, running)
    np.multiply(step, momentum, out=step)
    np.add(running, step, out=running, casting="same_kind")


@quiet
def batch_norm_forward(
    device: CpuDevice,
    y: Array,
    mean: Array,
    inverse_deviation: Array,
    running_mean: Array,
    running_variance: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    settings: Normalization,
    activation: Activation,
) -> None:
    """y = f(gamma (x - mean) / sqrt(variance + eps) + beta), the statistics over all but the last axis.

    The variance is the biased one, accurate also where it is small beside the mean. (Ioffe and Szegedy, 2015,
    algorithm 1.)

    Args:
        device: the CPU.
        y: (N, H, W, C) or (N, C); may be x.
        mean: (C,), written for the backward pass.
        inverse_deviation: (C,), written for the backward pass.
        running_mean: (C,), moved by settings.momentum towards the mean.
        running_variance: (C,), moved towards the unbiased variance; towards the biased one where a channel has
            a single element.
        x: (N, H, W, C) or (N, C).
        gamma: (C,).
        beta: (C,).
        settings: eps and momentum.
        activation: f.
    """
    leading = x.ndim - 1
    x, y = memory_order(x), memory_order(y)
    moments = column_moments(device, x, leading)
    inverse = 1 / np.sqrt(moments.squares / moments.count + settings.eps)
    np.copyto(mean, moments.mean, casting="same_kind")
    np.copyto(inverse_deviation, inverse, casting="same_kind")
    _move(running_mean, moments.mean, settings.momentum)
    _move(running_variance, moments.squares / max(1, moments.count - 1), settings.momentum)
    affine = _normalizing(moments.mean, inverse, gamma, beta, None if moments.near else _shift(mean, inverse))
    apply_affine(device, y, x, affine, leading, activation)


@quiet
def batch_norm_inference(
    device: CpuDevice,
    y: Array,
    x: Array,
    running_mean: Array,
    running_variance: Array,
    gamma: Array,
    beta: Array,
    settings: Normalization,
    activation: Activation,
) -> None:
    """The function of batch_norm_forward with the running statistics in place of those of the batch."""
    inverse = 1 / np.sqrt(_wide(running_variance) + settings.eps)
    affine = _normalizing(_wide(running_mean), inverse, gamma, beta, _shift(running_mean, inverse))
    apply_affine(device, memory_order(y), memory_order(x), affine, x.ndim - 1, activation)


@quiet
def batch_norm_backward(
    device: CpuDevice,
    gx: Array | None,
    ggamma: Array,
    gbeta: Array,
    gy: Array,
    x: Array,
    mean: Array,
    inverse_deviation: Array,
    gamma: Array,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """Gradients of x, gamma and beta through the batch statistics; gy is the one behind the activation.

    With h = (x - mean) / deviation and averages over the elements of a channel:
    gx = gamma / deviation * (gy - average gy - h * average (gy h)).

    Args:
        device: the CPU.
        gx: the shape of x; None when it is not wanted; may be gy.
        ggamma: (C,) = sum of gy h.
        gbeta: (C,) = sum of gy.
        gy: the shape of x.
        x: (N, H, W, C) or (N, C).
        mean: as the forward pass wrote it.
        inverse_deviation: as the forward pass wrote it.
        gamma: (C,).
        accumulate: add to gx.
        accumulate_parameters: add to ggamma and gbeta.
    """
    leading = x.ndim - 1
    count = x.size // x.shape[-1]
    x, gy = memory_order(x), memory_order(gy)
    inverse = _wide(inverse_deviation)
    shift = _shift(mean, inverse)
    total, product = column_products(device, gy, x, shift, leading)
    if shift is None:
        product -= mean * total
    _write_gradient(ggamma, product * inverse, accumulate_parameters)
    _write_gradient(gbeta, total, accumulate_parameters)
    if gx is not None:
        factor = gamma * inverse
        scale, offset = -factor * inverse**2 * product / count, -factor * total / count
        affine = Affine(shift, scale, offset if shift is not None else offset - mean * scale)
        apply_affine_gradient(device, memory_order(gx), gy, x, affine, factor, leading, accumulate)


def _by_image(array: Array) -> tuple[Array, int]:
    """An array with the rows of its matrix in front, and their number of axes: one column a channel of an image."""
    return (memory_order(array), 2) if array.ndim == 4 else (array[np.newaxis], 1)


def _to_channels(per_group: Array, C: int) -> Array:
    """(N, groups) repeated to (N, C)."""
    return np.repeat(per_group, C // per_group.shape[1], axis=1)


@quiet
def group_norm_forward(
    device: CpuDevice,
    y: Array,
    mean: Array,
    inverse_deviation: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    groups: int,
    eps: float,
) -> None:
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, the statistics over each group of each image.

    (Wu and He, 2018.)

    Args:
        device: the CPU.
        y: (N, H, W, C) or (N, C); may be x.
        mean: (N, groups), written for the backward pass.
        inverse_deviation: (N, groups), written for the backward pass.
        x: (N, H, W, C) or (N, C).
        gamma: (C,).
        beta: (C,).
        groups: how many equal runs of channels are normalised apart; divides C.
        eps: added to the variance inside the root.
    """
    N, C = x.shape[0], x.shape[-1]
    (x, leading), (y, _) = _by_image(x), _by_image(y)
    moments = column_moments(device, x, leading)
    means = moments.mean.reshape(N, groups, C // groups)
    group_mean = means.mean(axis=2)
    between = ((means - group_mean[:, :, np.newaxis]) ** 2).sum(axis=2)
    within = moments.squares.reshape(means.shape).sum(axis=2)
    variance = (within / moments.count + between) / (C // groups)
    inverse = 1 / np.sqrt(variance + eps)
    np.copyto(mean, group_mean, casting="same_kind")
    np.copyto(inverse_deviation, inverse, casting="same_kind")
    means = _to_channels(group_mean, C)
    inverse = _to_channels(inverse, C)
    shift = None if moments.near else _shift(means.astype(x.dtype), inverse)
    affine = _normalizing(means, inverse, gamma, beta, shift)
    apply_affine(device, y, x, affine, leading)


@quiet
def group_norm_backward(
    device: CpuDevice,
    gx: Array | None,
    ggamma: Array,
    gbeta: Array,
    gy: Array,
    x: Array,
    mean: Array,
    inverse_deviation: Array,
    gamma: Array,
    groups: int,
    accumulate: bool,
    accumulate_parameters: bool,
) -> None:
    """Gradients of x, gamma and beta through the statistics of each group.

    With h = (x - mean) / deviation and averages over the elements of a group:
    gx = (gamma gy - average (gamma gy) - h * average (gamma gy h)) / deviation.
    Arguments as in batch_norm_backward; `mean` and `inverse_deviation` are (N, groups).
    """
    N, C = x.shape[0], x.shape[-1]
    count = x.size // (N * groups)
    (x, leading), (gy, _) = _by_image(x), _by_image(gy)
    inverse = _to_channels(_wide(inverse_deviation), C)
    means = _to_channels(_wide(mean), C)
    shift = _shift(means, inverse)
    total, product = (sums.reshape(N, C) for sums in column_products(device, gy, x, shift, leading))
    if shift is None:
        product -= means * total
    product *= inverse
    _write_gradient(ggamma, product.sum(axis=0), accumulate_parameters)
    _write_gradient(gbeta, total.sum(axis=0), accumulate_parameters)
    if gx is not None:
        average, average_product = (
            _to_channels((gamma * sums).reshape(N, groups, -1).sum(axis=2) / count, C) for sums in (total, product)
        )
        scale, offset = -(inverse**2) * average_product, -inverse * average
        affine = Affine(shift, scale, offset if shift is not None else offset - means * scale)
        apply_affine_gradient(device, _by_image(gx)[0], gy, x, affine, gamma * inverse, leading, accumulate)
