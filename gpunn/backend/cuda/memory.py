"""Copies, sums and the shape of arrays on CUDA: flatten, add, concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import rows_of
from gpunn.backend.cuda.launching.launch import striding_grid
from gpunn.backend.cuda.shared.vectors import walk_over
from gpunn.errors import UsageError

#: Arrays that one launch of kernels/add.cu adds up, by the names of its parameters.
_TERMS = ("a", "b", "c", "d")


def copy(device: CudaDevice, y: Array, x: Array, accumulate: bool) -> None:
    """y = x, or y += x in float32, for arrays of one shape, whose number types may differ.

    Raises:
        UsageError: for shapes that differ, or number types other than float32, bfloat16 and float16.
    """
    walk = walk_over(device, "copy", y=y, x=x)
    kernel = "accumulate" if accumulate else "copy"
    device.launcher.launch(
        "copy.cu", kernel, striding_grid(walk.vectors), {"y": y, "x": x, **walk.arguments}, walk.choices
    )


def fill(device: CudaDevice, y: Array, value: float) -> None:
    """y = value, rounded to the number type of y.

    Raises:
        UsageError: for a number type other than float32, bfloat16 and float16.
    """
    walk = walk_over(device, "fill", y=y)
    device.launcher.launch(
        "fill.cu", "fill", striding_grid(walk.vectors), {"y": y, "value": value, **walk.arguments}, walk.choices
    )


def scale(device: CudaDevice, y: Array, x: Array, factor: float, accumulate: bool) -> None:
    """y = factor * x, or y += factor * x; y may be x.

    Raises:
        UsageError: for shapes or number types that differ.
    """
    walk = walk_over(device, "scale", y=y, x=x)
    device.launcher.launch(
        "scale.cu",
        "scale",
        striding_grid(walk.vectors),
        {"y": y, "x": x, "factor": factor, "accumulate": accumulate, **walk.arguments},
        walk.choices,
    )


def flatten_forward(device: CudaDevice, y: Array, x: Array) -> None:
    """y (N, H*W*C) = x (N, H, W, C) in the order h, w, c.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    _copy_features(device, y, x, x.shape, False)


def flatten_backward(device: CudaDevice, gx: Array, gy: Array, accumulate: bool) -> None:
    """gx (N, H, W, C) = gy (N, H*W*C), or gx += gy.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    _copy_features(device, gx, gy, gx.shape, accumulate)


def add(device: CudaDevice, y: Array, xs: Sequence[Array]) -> None:
    """y = the sum of all xs, from left to right; y may be the first of them.

    In 16 bits, sums of up to four arrays are rounded once; of more, once again with every three.

    Raises:
        UsageError: for no arrays, or shapes or number types that differ.
    """
    if not xs:
        raise UsageError("add: nothing to add; give one array or more")
    if len(xs) == 1:
        copy(device, y, xs[0], False)
        return
    terms, others = xs[: len(_TERMS)], xs[len(_TERMS) :]
    _add_few(device, y, terms)
    while others:
        terms, others = [y, *others[: len(_TERMS) - 1]], others[len(_TERMS) - 1 :]
        _add_few(device, y, terms)


def concatenate_forward(device: CudaDevice, y: Array, xs: Sequence[Array]) -> None:
    """y = the channels (last axis) of all xs, one after another.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    start = 0
    for x in xs:
        stop = start + x.shape[-1]
        copy(device, y[..., start:stop], x, False)
        start = stop


def concatenate_backward(device: CudaDevice, gx: Array, gy: Array, start: int, accumulate: bool) -> None:
    """gx = the channels of gy from `start` on, as many as gx has, or gx += them.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    copy(device, gx, gy[..., start : start + gx.shape[-1]], accumulate)


def _add_few(device: CudaDevice, y: Array, terms: Sequence[Array]) -> None:
    given = dict(zip(_TERMS, terms, strict=False))
    walk = walk_over(device, "add", y=y, **given)
    absent = dict.fromkeys(_TERMS[len(terms) :])
    pitches = {f"{name}_pitch": 0 for name in absent}
    device.launcher.launch(
        "add.cu",
        "add",
        striding_grid(walk.vectors),
        {"y": y, **given, **absent, **pitches, **walk.arguments},
        walk.choices,
    )


def _copy_features(device: CudaDevice, y: Array, x: Array, image_shape: tuple[int, ...], accumulate: bool) -> None:
    """y = x, where one is images and the other has their features in one axis."""
    features = (image_shape[0], prod(image_shape[1:]))
    if {y.shape, x.shape} - {image_shape, features}:
        raise UsageError(f"flatten: arrays of shapes {y.shape} and {x.shape}; {image_shape} flattens to {features}")
    if _is_dense(y) or _is_dense(x):
        shape = x.shape if _is_dense(y) else y.shape
        copy(device, y.reshape(shape), x.reshape(shape), accumulate)
        return
    # Two slices, one of channels and one of features, have no rows in common but within one image.
    for image_y, image_x in zip(y, x, strict=True):
        copy(device, image_y.reshape(image_shape[1:]), image_x.reshape(image_shape[1:]), accumulate)


def _is_dense(array: Array) -> bool:
    rows = rows_of(array)
    return rows is not None and rows.count == 1
