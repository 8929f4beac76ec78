"""Convolution as plain float64 loops over output pixels, filters and taps."""

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


def channels_of(filter_index: int, geometry: Conv2dGeometry) -> slice:
    """The input channels that a filter reads."""
    channels = geometry.C // geometry.groups
    group = filter_index // (geometry.K // geometry.groups)
    return slice(group * channels, (group + 1) * channels)


def forward(x: Host, w: Host, bias: Host | None, geometry: Conv2dGeometry) -> Host:
    """y (N, P, Q, K), without an activation."""
    y = np.zeros(geometry.output_shape)
    if bias is not None:
        y += bias.astype(np.float64)
    x, w = x.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for k in range(geometry.K):
            y[:, p, q, k] += x[:, row, column, channels_of(k, geometry)] @ w[r, s, :, k]
    return y


def backward_data(gy: Host, w: Host, geometry: Conv2dGeometry) -> Host:
    """gx (N, H, W, C)."""
    gx = np.zeros(geometry.input_shape)
    gy, w = gy.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for k in range(geometry.K):
            gx[:, row, column, channels_of(k, geometry)] += np.outer(gy[:, p, q, k], w[r, s, :, k])
    return gx


def backward_filter(x: Host, gy: Host, geometry: Conv2dGeometry) -> Host:
    """gw (R, S, C/G, K)."""
    gw = np.zeros(geometry.filter_shape)
    x, gy = x.astype(np.float64), gy.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        for k in range(geometry.K):
            gw[r, s, :, k] += gy[:, p, q, k] @ x[:, row, column, channels_of(k, geometry)]
    return gw
