"""Convolution as plain float64 loops over output pixels, taps and groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpunn.geometry import Conv2dGeometry

Host = np.ndarray[Any, Any]


def taps(geometry: Conv2dGeometry) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Every (p, q, r, s, h, w): output pixel (p, q) reads pixel (h, w), which lies in the image, by tap (r, s)."""
    for p in range(geometry.P):
        for q in range(geometry.Q):
            for r in range(geometry.R):
                for s in range(geometry.S):
                    h = p * geometry.stride.rows + r * geometry.dilation.rows - geometry.padding.top
                    w = q * geometry.stride.columns + s * geometry.dilation.columns - geometry.padding.left
                    if 0 <= h < geometry.H and 0 <= w < geometry.W:
                        yield p, q, r, s, h, w


def group_slices(geometry: Conv2dGeometry) -> list[tuple[slice, slice]]:
    """The input channels of each group, and its filters."""
    C, K = geometry.C // geometry.groups, geometry.K // geometry.groups
    return [(slice(g * C, (g + 1) * C), slice(g * K, (g + 1) * K)) for g in range(geometry.groups)]


def forward(x: Host, w: Host, bias: Host | None, geometry: Conv2dGeometry) -> Host:
    """y (N, P, Q, K), without an activation."""
    y = np.zeros(geometry.output_shape)
    if bias is not None:
        y += bias.astype(np.float64)
    x, w = x.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for channels, filters in group_slices(geometry):
            y[:, p, q, filters] += x[:, row, column, channels] @ w[r, s, :, filters]
    return y


def backward_data(gy: Host, w: Host, geometry: Conv2dGeometry) -> Host:
    """gx (N, H, W, C)."""
    gx = np.zeros(geometry.input_shape)
    gy, w = gy.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for channels, filters in group_slices(geometry):
            gx[:, row, column, channels] += gy[:, p, q, filters] @ w[r, s, :, filters].T
    return gx


def backward_filter(x: Host, gy: Host, geometry: Conv2dGeometry) -> Host:
    """gw (R, S, C/G, K)."""
    gw = np.zeros(geometry.filter_shape)
    x, gy = x.astype(np.float64), gy.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for channels, filters in group_slices(geometry):
            gw[r, s, :, filters] += x[:, row, column, channels].T @ gy[:, p, q, filters]
    return gw
