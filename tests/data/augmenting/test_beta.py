"""Quantiles of the symmetric beta distribution where they are known in closed form, and moments where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.data.augmenting.beta import beta_quantiles

PROBABILITIES = np.linspace(0, 1, 1001)


def test_alpha_1_is_even() -> None:
    np.testing.assert_allclose(beta_quantiles(1.0, PROBABILITIES), PROBABILITIES, atol=1e-9)


def test_alpha_one_half_is_the_arcsine_law() -> None:
    np.testing.assert_allclose(beta_quantiles(0.5, PROBABILITIES), np.sin(np.pi / 2 * PROBABILITIES) ** 2, atol=2e-6)


def test_alpha_2_has_the_distribution_of_its_polynomial() -> None:
    x = beta_quantiles(2.0, PROBABILITIES)
    np.testing.assert_allclose(3 * x**2 - 2 * x**3, PROBABILITIES, atol=2e-6)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.4, 0.9, 1.1, 3.0, 50.0, 400.0])
def test_mean_and_variance(alpha: float) -> None:
    x = beta_quantiles(alpha, (np.arange(200_000) + 0.5) / 200_000)
    assert (np.diff(x) >= 0).all()
    assert 0 <= x[0] <= x[-1] <= 1
    assert x.mean() == pytest.approx(0.5, abs=1e-9)
    assert x.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)
