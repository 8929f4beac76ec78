"""Numbers of the symmetric beta distribution, each from one uniform number: every picture takes the same draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_POINTS = 1025

Numbers = npt.NDArray[np.float64]


def beta_quantiles(alpha: float, probabilities: Numbers) -> Numbers:
    """Where Beta(alpha, alpha) has these probabilities below it, to about six digits; alpha is above 0.

    Up to 1/2 the probability below x is in proportion to the integral of x^(alpha - 1) (1 - x)^(alpha - 1), by the
    trapezium rule; beyond, it is the mirror image. For alpha below 1 the density is infinite at 0, but not over
    t = x^alpha, where it is (1 - x)^(alpha - 1).
    """
    exponent = min(alpha, 1.0)
    powers = np.linspace(0, 0.5**exponent, _POINTS)
    x = powers ** (1 / exponent)
    density = (1 - x) ** (alpha - 1) if alpha < 1 else (4 * x * (1 - x)) ** (alpha - 1)
    sums = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    tails = np.minimum(probabilities, 1 - probabilities)
    lower = np.interp(tails, 0.5 * sums / sums[-1], powers) ** (1 / exponent)
    return np.where(probabilities <= 0.5, lower, 1 - lower)
