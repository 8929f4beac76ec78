"""Losses of one row, and ranks, in float64 loops."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, log, log1p

from tests.reference.softmax import softmax

Row = Sequence[float]


def smoothed(target: Row, smoothing: float) -> list[float]:
    """(1 - smoothing) target + smoothing / K."""
    return [(1 - smoothing) * t + smoothing / len(target) for t in target]


def one_hot(label: int, K: int) -> list[float]:
    """1 at the label, 0 elsewhere."""
    return [float(k == label) for k in range(K)]


def cross_entropy(scores: Row, target: Row) -> float:
    """-sum q log softmax(x)."""
    largest = max(scores)
    log_sum = log(fsum(exp(x - largest) for x in scores))
    return -fsum(q * (x - largest - log_sum) for q, x in zip(target, scores, strict=True))


def cross_entropy_gradient(scores: Row, target: Row) -> list[float]:
    """softmax - q, for targets that sum to 1."""
    return [y - q for y, q in zip(softmax(scores), target, strict=True)]


def rank(scores: Row, label: int) -> int:
    """Where the label stands when classes are sorted by falling score, equal scores by rising index."""
    order = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    return order.index(label)


def binary_cross_entropy(logits: Row, targets: Row) -> float:
    """-sum of t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))."""
    return fsum(t * log1p(exp(-x)) + (1 - t) * log1p(exp(x)) for x, t in zip(logits, targets, strict=True))


def binary_cross_entropy_gradient(logits: Row, targets: Row) -> list[float]:
    """sigmoid(x) - t."""
    return [1 / (1 + exp(-x)) - t for x, t in zip(logits, targets, strict=True)]


def squared_error(predictions: Row, targets: Row, factor: float) -> float:
    """factor * sum (x - t)^2."""
    return factor * fsum((x - t) ** 2 for x, t in zip(predictions, targets, strict=True))


def squared_error_gradient(predictions: Row, targets: Row, factor: float) -> list[float]:
    """2 factor (x - t)."""
    return [2 * factor * (x - t) for x, t in zip(predictions, targets, strict=True)]
