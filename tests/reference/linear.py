"""A fully connected layer as plain float64 loops over outputs or inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def forward(x: Host, w: Host, bias: Host | None) -> Host:
    """y (N, outputs), without an activation."""
    y = np.zeros((len(x), w.shape[1]))
    for n in range(len(x)):
        for output in range(w.shape[1]):
            start = 0.0 if bias is None else float(bias[output])
            y[n, output] = start + np.sum(x[n].astype(np.float64) * w[:, output])
    return y


def backward_data(gy: Host, w: Host) -> Host:
    """gx (N, inputs)."""
    gx = np.zeros((len(gy), len(w)))
    for n in range(len(gy)):
        for feature in range(len(w)):
            gx[n, feature] = np.sum(gy[n].astype(np.float64) * w[feature])
    return gx


def backward_weight(x: Host, gy: Host) -> Host:
    """gw (inputs, outputs)."""
    gw = np.zeros((x.shape[1], gy.shape[1]))
    for n in range(len(x)):
        for feature in range(x.shape[1]):
            gw[feature] += float(x[n, feature]) * gy[n].astype(np.float64)
    return gw
