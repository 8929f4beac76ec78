"""Softmax of one row."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum


def softmax(row: Sequence[float]) -> list[float]:
    """exp(x) / sum exp(x), the largest subtracted first."""
    largest = max(row)
    powers = [exp(x - largest) for x in row]
    total = fsum(powers)
    return [power / total for power in powers]


def softmax_gradient(row: Sequence[float], gradient: Sequence[float]) -> list[float]:
    """The row's Jacobian, y_i ([i = j] - y_j), written out and applied to the gradient."""
    y = softmax(row)
    size = range(len(y))
    return [fsum(y[i] * ((i == j) - y[j]) * gradient[i] for i in size) for j in size]
