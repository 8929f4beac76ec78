"""A locally connected layer as plain float64 loops over output pixels and taps."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.geometry import Conv2dGeometry
from tests.reference.convolution import taps

Host = np.ndarray[Any, Any]


def forward(x: Host, w: Host, bias: Host | None, geometry: Conv2dGeometry) -> Host:
    """y (N, P, Q, K)."""
    y = np.zeros(geometry.output_shape)
    if bias is not None:
        y += bias.astype(np.float64)
    x, w = x.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        y[:, p, q] += x[:, row, column] @ w[p, q, r, s]
    return y


def backward_data(gy: Host, w: Host, geometry: Conv2dGeometry) -> Host:
    """gx (N, H, W, C)."""
    gx = np.zeros(geometry.input_shape)
    gy, w = gy.astype(np.float64), w.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        gx[:, row, column] += gy[:, p, q] @ w[p, q, r, s].T
    return gx


def backward_filter(x: Host, gy: Host, geometry: Conv2dGeometry) -> Host:
    """gw (P, Q, R, S, C, K)."""
    gw = np.zeros((geometry.P, geometry.Q, geometry.R, geometry.S, geometry.C, geometry.K))
    x, gy = x.astype(np.float64), gy.astype(np.float64)
    for p, q, r, s, row, column in taps(geometry):
        gw[p, q, r, s] = x[:, row, column].T @ gy[:, p, q]
    return gw
