"""The length of a gradient, and penalties, as sums over single numbers."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum, sqrt


def norm(values: Iterable[float]) -> float:
    """The root of the sum of squares."""
    return sqrt(fsum(value * value for value in values))


def penalty(weights: Iterable[float], p: float, strength: float) -> float:
    """strength / p * sum |w|^p."""
    return strength / p * fsum(abs(w) ** p for w in weights)
