"""Losses with their gradients in one pass, and the running totals of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import piece_spans

Host = np.ndarray[Any, Any]

#: Scratch of this file.
_FIRST, _SECOND, _ROW, _TRUTH, _EARLIER, _WANTED = 130, 131, 132, 133, 134, 135


def softmax_cross_entropy(
    device: CpuDevice,
    loss: Host,
    gradient: Host | None,
    ranks: Host,
    logits: Host,
    labels: Host,
    loss_scale: Host,
    smoothing: float,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = -sum q log softmax(logits), q = (1 - smoothing) [k = label] + smoothing / K.

    gradient = weight * loss_scale (softmax - q). A label whose score is NaN ranks last.
    """
    K = logits.shape[1]
    scale = weight * float(loss_scale[0])

    def work(rows: slice) -> None:
        scores, truth = logits[rows], labels[rows]
        index = np.arange(len(truth))
        log_probability, probability = _log_softmax(device, scores)
        correct = log_probability[index, truth]
        np.negative(correct, out=loss[rows])
        if smoothing:
            spread = np.add.reduce(log_probability, axis=1)
            loss[rows] = -(1 - smoothing) * correct - smoothing / K * spread
        _rank(device, ranks[rows], scores, truth)
        if gradient is not None:
            if smoothing:
                np.subtract(probability, smoothing / K, out=probability)
            probability[index, truth] -= 1 - smoothing
            _write_gradient(gradient[rows], probability, scale, accumulate)

    _for_images(device, work, logits)


def softmax_cross_entropy_soft(
    device: CpuDevice,
    loss: Host,
    gradient: Host | None,
    ranks: Host,
    logits: Host,
    targets: Host,
    loss_scale: Host,
    smoothing: float,
    weight: float,
    accumulate: bool,
) -> None:
    """The same with q = (1 - smoothing) target + smoothing / K; the rows of `targets` sum to 1."""
    K = logits.shape[1]
    scale = weight * float(loss_scale[0])

    def work(rows: slice) -> None:
        scores, target = logits[rows], targets[rows]
        log_probability, probability = _log_softmax(device, scores)
        wanted = device.scratch(_WANTED, scores.shape, scores.dtype)
        np.multiply(target, 1 - smoothing, out=wanted)
        np.add(wanted, smoothing / K, out=wanted)
        _rank(device, ranks[rows], scores, np.argmax(target, axis=1))
        if gradient is not None:
            np.subtract(probability, wanted, out=probability)
            _write_gradient(gradient[rows], probability, scale, accumulate)
        np.multiply(wanted, log_probability, out=wanted)
        np.add.reduce(wanted, axis=1, out=loss[rows])
        np.negative(loss[rows], out=loss[rows])

    _for_images(device, work, logits)


def binary_cross_entropy(
    device: CpuDevice,
    loss: Host,
    gradient: Host | None,
    logits: Host,
    targets: Host,
    loss_scale: Host,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = sum of log(1 + exp(x)) - t x = max(0, x) + log(1 + exp(-|x|)) - t x; gradient = sigmoid(x) - t."""
    scale = weight * float(loss_scale[0])

    def work(rows: slice) -> None:
        x, target = logits[rows], targets[rows]
        value = device.scratch(_FIRST, x.shape, x.dtype)
        other = device.scratch(_SECOND, x.shape, x.dtype)
        np.abs(x, out=value)
        np.negative(value, out=value)
        np.exp(value, out=value)
        np.log1p(value, out=value)
        np.maximum(x, 0, out=other)
        np.add(value, other, out=value)
        np.multiply(x, target, out=other)
        np.subtract(value, other, out=value)
        np.add.reduce(value, axis=tuple(range(1, x.ndim)), out=loss[rows])
        if gradient is not None:
            np.negative(x, out=value)
            np.exp(value, out=value)
            np.add(value, 1, out=value)
            np.reciprocal(value, out=value)
            np.subtract(value, target, out=value)
            _write_gradient(gradient[rows], value, scale, accumulate)

    _for_images(device, work, logits)


def squared_error(
    device: CpuDevice,
    loss: Host,
    gradient: Host | None,
    predictions: Host,
    targets: Host,
    loss_scale: Host,
    factor: float,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = factor * sum of (x - t)^2; gradient = 2 factor (x - t)."""
    scale = 2 * factor * weight * float(loss_scale[0])

    def work(rows: slice) -> None:
        x = predictions[rows]
        difference = device.scratch(_FIRST, x.shape, x.dtype)
        square = device.scratch(_SECOND, x.shape, x.dtype)
        np.subtract(x, targets[rows], out=difference)
        np.multiply(difference, difference, out=square)
        np.add.reduce(square, axis=tuple(range(1, x.ndim)), out=loss[rows])
        np.multiply(loss[rows], factor, out=loss[rows])
        if gradient is not None:
            _write_gradient(gradient[rows], difference, scale, accumulate)

    _for_images(device, work, predictions)


def record_losses(device: CpuDevice, totals: Host, loss: Host, ranks: Host | None, apply: Host) -> None:
    """totals += sum of loss, top-1 hits, top-5 hits, images; nothing when apply[0] is 0."""
    if not apply[0]:
        return
    with device.settings:
        totals[0] += loss.sum(dtype=np.float64)
    if ranks is not None:
        totals[1] += np.count_nonzero(ranks < 1)
        totals[2] += np.count_nonzero(ranks < 5)
    totals[3] += loss.size


def _for_images(device: CpuDevice, work: Callable[[slice], None], array: Host) -> None:
    """Call `work` for slices of the images, on all threads."""
    spans = piece_spans(array.shape[0], prod(array.shape))

    def run(piece: int) -> None:
        work(spans[piece])

    device.parallel(run, range(len(spans)))


def _log_softmax(device: CpuDevice, scores: Host) -> tuple[Host, Host]:
    """log softmax and softmax of each row, in scratch memory."""
    log_probability = device.scratch(_FIRST, scores.shape, scores.dtype)
    probability = device.scratch(_SECOND, scores.shape, scores.dtype)
    row = device.scratch(_ROW, (len(scores), 1), scores.dtype)
    np.maximum.reduce(scores, axis=1, keepdims=True, out=row)
    np.subtract(scores, row, out=log_probability)
    np.exp(log_probability, out=probability)
    np.add.reduce(probability, axis=1, keepdims=True, out=row)
    np.divide(probability, row, out=probability)
    np.log(row, out=row)
    np.subtract(log_probability, row, out=log_probability)
    return log_probability, probability


def _rank(device: CpuDevice, ranks: Host, scores: Host, labels: Host) -> None:
    """How many classes score above the label, or equal and earlier."""
    truth = device.scratch(_TRUTH, scores.shape, np.bool_)
    earlier = device.scratch(_EARLIER, scores.shape, np.bool_)
    own = scores[np.arange(len(labels)), labels][:, None]
    np.less(np.arange(scores.shape[1]), labels[:, None], out=earlier)
    np.equal(scores, own, out=truth)
    np.logical_and(truth, earlier, out=earlier)
    # "Not below or equal" rather than "above", so that a NaN never counts as a hit.
    np.less_equal(scores, own, out=truth)
    np.logical_not(truth, out=truth)
    np.logical_or(truth, earlier, out=truth)
    np.add.reduce(truth, axis=1, dtype=ranks.dtype, out=ranks)


def _write_gradient(gradient: Host, unscaled: Host, scale: float, accumulate: bool) -> None:
    """gradient = scale * unscaled, or += ; `unscaled` is overwritten."""
    if accumulate:
        np.multiply(unscaled, scale, out=unscaled)
        np.add(gradient, unscaled, out=gradient)
    else:
        np.multiply(unscaled, scale, out=gradient)
