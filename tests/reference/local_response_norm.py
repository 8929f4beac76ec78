"""Local response normalisation as plain float64 loops over channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import LocalResponse

Host = np.ndarray[Any, Any]


def denominator(x: Host, settings: LocalResponse) -> Host:
    """k + alpha * the sum of squares over the window of each channel."""
    C = x.shape[-1]
    d = np.full(x.shape, float(settings.k))
    for c in range(C):
        first = c - settings.n // 2
        for neighbour in range(first, first + settings.n):
            if 0 <= neighbour < C:
                d[..., c] += settings.alpha * x[..., neighbour].astype(np.float64) ** 2
    return d


def forward(x: Host, settings: LocalResponse) -> Host:
    """x / d^beta."""
    return x.astype(np.float64) / denominator(x, settings) ** settings.beta


def backward(gy: Host, x: Host, settings: LocalResponse) -> Host:
    """The transposed Jacobian, one derivative of y[j] by x[i] after another."""
    C = x.shape[-1]
    x, gy, d = x.astype(np.float64), gy.astype(np.float64), denominator(x, settings)
    gx = np.zeros(x.shape)
    for j in range(C):
        first = j - settings.n // 2
        for i in range(max(0, first), min(C, first + settings.n)):
            by_sum = -settings.beta * x[..., j] * d[..., j] ** (-settings.beta - 1) * 2 * settings.alpha * x[..., i]
            gx[..., i] += gy[..., j] * (by_sum + (i == j) * d[..., j] ** -settings.beta)
    return gx
