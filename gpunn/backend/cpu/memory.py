"""Copies, sums and the shape of arrays: flatten, add, concatenate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpunn.backend.contract import Array
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.pieces import for_each_piece


def copy(device: CpuDevice, y: Array, x: Array, accumulate: bool) -> None:
    """y = x, or y += x, for arrays of one shape, whose number types may differ."""

    def work(y: Array, x: Array) -> None:
        if accumulate:
            np.add(y, x, out=y, casting="unsafe")
        else:
            np.copyto(y, x, casting="unsafe")

    for_each_piece(device, work, y, x)


def fill(device: CpuDevice, y: Array, value: float) -> None:
    """y = value."""
    for_each_piece(device, lambda y: y.fill(value), y)


def scale(device: CpuDevice, y: Array, x: Array, factor: float, accumulate: bool) -> None:
    """y = factor * x, or y += factor * x; y may be x."""
    multiplier = x.dtype.type(factor)

    def work(y: Array, x: Array) -> None:
        if accumulate:
            product = device.scratch(0, x.shape, x.dtype)
            np.multiply(x, multiplier, out=product)
            np.add(y, product, out=y)
        else:
            np.multiply(x, multiplier, out=y)

    for_each_piece(device, work, y, x)


def flatten_forward(device: CpuDevice, y: Array, x: Array) -> None:
    """y (N, H*W*C) = x (N, H, W, C) in the order h, w, c."""
    copy(device, y.reshape(x.shape), x, False)


def flatten_backward(device: CpuDevice, gx: Array, gy: Array, accumulate: bool) -> None:
    """gx (N, H, W, C) = gy (N, H*W*C), or gx += gy."""
    copy(device, gx, gy.reshape(gx.shape), accumulate)


def add(device: CpuDevice, y: Array, xs: Sequence[Array]) -> None:
    """y = the sum of all xs, from left to right; y may be the first of them."""

    def work(y: Array, first: Array, *others: Array) -> None:
        if not others:
            np.copyto(y, first)
            return
        np.add(first, others[0], out=y)
        for other in others[1:]:
            np.add(y, other, out=y)

    for_each_piece(device, work, y, *xs)


def concatenate_forward(device: CpuDevice, y: Array, xs: Sequence[Array]) -> None:
    """y = the channels (last axis) of all xs, one after another."""
    start = 0
    for x in xs:
        stop = start + x.shape[-1]
        copy(device, y[..., start:stop], x, False)
        start = stop


def concatenate_backward(device: CpuDevice, gx: Array, gy: Array, start: int, accumulate: bool) -> None:
    """gx = the channels of gy from `start` on, as many as gx has, or gx += them."""
    copy(device, gx, gy[..., start : start + gx.shape[-1]], accumulate)
