"""Batch norm and group norm in float64, one set of statistics after another."""

from __future__ import annotations

from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]


def _sets(shape: tuple[int, ...], groups: int | None) -> list[Any]:
    """Indices of the elements that share their statistics: a channel each, or a group of an image each."""
    N, C = shape[0], shape[-1]
    if groups is None:
        return [(..., c) for c in range(C)]
    size = C // groups
    return [(n, ..., slice(g * size, (g + 1) * size)) for n in range(N) for g in range(groups)]


def statistics(x: Host, groups: int | None = None) -> tuple[Host, Host]:
    """Mean and biased variance of each set, in order; `groups` None means batch norm."""
    chosen = [x.astype(np.float64)[index].ravel() for index in _sets(x.shape, groups)]
    means = [values.sum() / values.size for values in chosen]
    variances = [((values - m) ** 2).sum() / values.size for values, m in zip(chosen, means, strict=True)]
    return np.array(means), np.array(variances)


def normalized(x: Host, eps: float, groups: int | None = None) -> Host:
    """(x - mean) / sqrt(variance + eps)."""
    result = np.zeros(x.shape)
    for index, mean, variance in zip(_sets(x.shape, groups), *statistics(x, groups), strict=True):
        result[index] = (x[index].astype(np.float64) - mean) / np.sqrt(variance + eps)
    return result


def forward(x: Host, gamma: Host, beta: Host, eps: float, groups: int | None = None) -> Host:
    """gamma * normalized + beta."""
    return normalized(x, eps, groups) * gamma.astype(np.float64) + beta


def backward(gy: Host, x: Host, gamma: Host, eps: float, groups: int | None = None) -> tuple[Host, Host, Host]:
    """The gradients of x, gamma and beta.

    Each set of elements that share their statistics has a Jacobian: the derivative of the normalised h[j] by x[i] is
    ((i == j) - 1 / count - h[i] h[j] / count) / deviation.
    """
    wide, h = gy.astype(np.float64), normalized(x, eps, groups)
    scaled = wide * gamma.astype(np.float64)
    _, variances = statistics(x, groups)
    gx = np.zeros(x.shape)
    for index, variance in zip(_sets(x.shape, groups), variances, strict=True):
        values, incoming = h[index].ravel(), scaled[index].ravel()
        jacobian = np.eye(values.size) - 1 / values.size - np.outer(values, values) / values.size
        gx[index] = (jacobian.T @ incoming).reshape(gx[index].shape) / np.sqrt(variance + eps)
    ggamma, gbeta = ((wide * factor).reshape(-1, x.shape[-1]).sum(axis=0) for factor in (h, np.ones_like(h)))
    return gx, ggamma, gbeta
