"""Losses with their gradients on CUDA, one launch each, and the running totals of an epoch."""

from __future__ import annotations

from typing import Any

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.launch import NO_CHOICES
from gpunn.backend.cuda.launching.source import Choices
from gpunn.backend.cuda.shared.row_blocks import row_grid
from gpunn.backend.cuda.shared.vectors import walk_over
from gpunn.errors import UsageError


def softmax_cross_entropy(
    device: CudaDevice,
    loss: Array,
    gradient: Array | None,
    ranks: Array,
    logits: Array,
    labels: Array,
    loss_scale: Array,
    smoothing: float,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = -sum q log softmax(logits), q = (1 - smoothing) [k = label] + smoothing / K.

    gradient = weight * loss_scale (softmax - q). A label whose score is NaN ranks last. Labels from 0 to K - 1 are
    the caller's duty: no kernel looks.

    Raises:
        UsageError: for shapes that do not fit each other.
    """
    _require_batch("softmax_cross_entropy", logits, loss=loss, ranks=ranks, labels=labels)
    _require_same("softmax_cross_entropy", logits=logits, gradient=gradient)
    device.launcher.launch(
        "softmax_cross_entropy.cu",
        "softmax_cross_entropy",
        row_grid(*logits.shape),
        {
            "loss": loss,
            "ranks": ranks,
            "labels": labels,
            **_scores(gradient, logits, loss_scale, smoothing, weight, accumulate),
        },
        _stored(gradient),
    )


def softmax_cross_entropy_soft(
    device: CudaDevice,
    loss: Array,
    gradient: Array | None,
    ranks: Array,
    logits: Array,
    targets: Array,
    loss_scale: Array,
    smoothing: float,
    weight: float,
    accumulate: bool,
) -> None:
    """The same with q = (1 - smoothing) target + smoothing / K; the rows of `targets` sum to 1.

    Raises:
        UsageError: for shapes that do not fit each other.
    """
    _require_batch("softmax_cross_entropy_soft", logits, loss=loss, ranks=ranks)
    _require_same("softmax_cross_entropy_soft", logits=logits, targets=targets, gradient=gradient)
    device.launcher.launch(
        "softmax_cross_entropy.cu",
        "softmax_cross_entropy_soft",
        row_grid(*logits.shape),
        {
            "loss": loss,
            "ranks": ranks,
            "targets": targets,
            "targets_pitch": channel_pitch(targets),
            **_scores(gradient, logits, loss_scale, smoothing, weight, accumulate),
        },
        _stored(gradient),
    )


def binary_cross_entropy(
    device: CudaDevice,
    loss: Array,
    gradient: Array | None,
    logits: Array,
    targets: Array,
    loss_scale: Array,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = sum of log(1 + exp(x)) - t x; gradient = weight * loss_scale (sigmoid(x) - t).

    Raises:
        UsageError: for shapes that do not fit each other.
    """
    arrays = {"logits": logits, "targets": targets}
    settings = {"loss_scale": loss_scale, "weight": weight, "accumulate": accumulate}
    _launch_image_loss(device, "binary_cross_entropy", loss, gradient, arrays, settings)


def squared_error(
    device: CudaDevice,
    loss: Array,
    gradient: Array | None,
    predictions: Array,
    targets: Array,
    loss_scale: Array,
    factor: float,
    weight: float,
    accumulate: bool,
) -> None:
    """loss = factor * sum of (x - t)^2; gradient = weight * loss_scale * 2 factor (x - t).

    Raises:
        UsageError: for shapes that do not fit each other.
    """
    arrays = {"predictions": predictions, "targets": targets}
    settings = {"loss_scale": loss_scale, "factor": factor, "weight": weight, "accumulate": accumulate}
    _launch_image_loss(device, "squared_error", loss, gradient, arrays, settings)


def record_losses(device: CudaDevice, totals: Array, loss: Array, ranks: Array | None, apply: Array) -> None:
    """totals += sum of loss, top-1 hits, top-5 hits, images; nothing when apply[0] is 0.

    Raises:
        UsageError: for shapes that do not fit each other.
    """
    _require_same("record_losses", loss=loss, ranks=ranks)
    if totals.shape != (4,):
        raise UsageError(f"record_losses: totals has shape {totals.shape}; it holds 4 numbers")
    device.launcher.launch(
        "record_losses.cu",
        "record_losses",
        row_grid(1, loss.size),
        {"totals": totals, "loss": loss, "ranks": ranks, "apply": apply, "images": loss.size},
    )


def _launch_image_loss(
    device: CudaDevice,
    name: str,
    loss: Array,
    gradient: Array | None,
    arrays: dict[str, Array],
    settings: dict[str, Any],
) -> None:
    """Launch a loss that is a sum over the numbers of each image."""
    given = arrays if gradient is None else {**arrays, "gradient": gradient}
    walk = walk_over(device, name, **given)
    (shape,) = {array.shape for array in arrays.values()}
    if loss.shape != shape[:1]:
        raise UsageError(f"{name}: loss has shape {loss.shape}; it holds one number for each of {shape[0]} images")
    N, numbers = shape[0], walk.rows * walk.channels // shape[0]
    # Dense arrays are one row to the walk, and one row an image to the kernel.
    pixels = walk.rows // N if walk.rows > 1 else 1
    pitches = walk.pitches if walk.rows > 1 else dict.fromkeys(walk.pitches, numbers)
    device.launcher.launch(
        f"{name}.cu",
        name,
        row_grid(N, numbers),
        {
            "loss": loss,
            "gradient": gradient,
            "gradient_pitch": numbers,
            **arrays,
            **pitches,
            "pixels": pixels,
            "channels": numbers // pixels,
            **settings,
        },
        _stored(gradient),
    )


def _scores(
    gradient: Array | None, logits: Array, loss_scale: Array, smoothing: float, weight: float, accumulate: bool
) -> dict[str, Any]:
    """What both forms of the softmax's cross-entropy take."""
    K = logits.shape[1]
    return {
        "gradient": gradient,
        "gradient_pitch": K if gradient is None else channel_pitch(gradient),
        "logits": logits,
        "logits_pitch": channel_pitch(logits),
        "loss_scale": loss_scale,
        "classes": K,
        "on_target": 1 - smoothing,
        "everywhere": smoothing / K,
        "weight": weight,
        "accumulate": accumulate,
    }


def _stored(gradient: Array | None) -> Choices:
    """The type of a gradient that nobody wants does not matter."""
    return {"STORED": "float"} if gradient is None else NO_CHOICES


def _require_batch(primitive: str, logits: Array, **vectors: Array) -> None:
    """logits (N, K), and one number an image in the others."""
    if len(logits.shape) != 2:
        raise UsageError(f"{primitive}: logits has shape {logits.shape}; it must be (N, K)")
    for name, vector in vectors.items():
        if vector.shape != logits.shape[:1]:
            raise UsageError(
                f"{primitive}: {name} has shape {vector.shape}; logits {logits.shape} want {logits.shape[:1]}"
            )


def _require_same(primitive: str, **arrays: Array | None) -> None:
    given = {name: array.shape for name, array in arrays.items() if array is not None}
    if len(set(given.values())) > 1:
        shapes = ", ".join(f"{name} {shape}" for name, shape in given.items())
        raise UsageError(f"{primitive}: the arrays must have one shape, got {shapes}")
