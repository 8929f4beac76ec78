"""Initialisers: formulas against draws from the same generator, distributions, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.errors import ShapeError, UsageError
from gpunn.initializers import Constant, FromArray, HeNormal, Initializer, Normal, Uniform, XavierNormal, Zeros
from gpunn.random import Stream, generator

SHAPE = (5, 5, 16, 32)
FAN_IN = 5 * 5 * 16


def draw(index: int = 0, seed: int = 7) -> np.random.Generator:
    return generator(seed, Stream.INITIALIZATION, index)


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [(Normal(), 1.0), (Normal(0.01), 0.01), (XavierNormal(), 1 / FAN_IN**0.5), (HeNormal(), 2**0.5 / FAN_IN**0.5)],
    ids=str,
)
def test_normal_ones_are_randn_times_their_factor(initializer: Initializer, expected: float) -> None:
    values = initializer.values(SHAPE, FAN_IN, draw())
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, draw().standard_normal(SHAPE) * expected, rtol=1e-14)
    assert values.mean() == pytest.approx(0, abs=5 * expected / values.size**0.5)
    assert values.std() == pytest.approx(expected, rel=0.03)


def test_normal_moves_by_its_mean() -> None:
    np.testing.assert_allclose(Normal(2.0, 3.0).values((9,), 1, draw()), 3 + 2 * draw().standard_normal(9))


def test_he_keeps_the_second_moment_through_relu() -> None:
    x = draw(1).standard_normal((2000, 400))
    y = np.maximum(x @ HeNormal().values((400, 300), 400, draw()), 0)
    assert (y**2).mean() == pytest.approx(1, rel=0.05)


def test_uniform_fills_its_interval() -> None:
    values = Uniform(-0.5, 1.5).values((40000,), 1, draw())
    assert -0.5 <= values.min() < -0.49
    assert 1.49 < values.max() < 1.5
    assert values.mean() == pytest.approx(0.5, abs=0.02)


def test_constants_draw_nothing() -> None:
    numbers = draw()
    before = numbers.bit_generator.state["state"]["counter"].tolist()
    assert Constant(1.5).values((2, 3), 4, numbers).tolist() == [[1.5] * 3] * 2
    assert Zeros().values((2,), 4, numbers).tolist() == [0, 0]
    assert numbers.bit_generator.state["state"]["counter"].tolist() == before


def test_from_array_copies_and_checks_the_shape() -> None:
    trained = np.arange(6, dtype=np.float32).reshape(2, 3)
    values = FromArray(trained).values((2, 3), 2, draw())
    values[0, 0] = 9
    assert trained.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert values.dtype == np.float64
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        FromArray(trained).values((3, 2), 3, draw())


def test_values_depend_on_seed_and_index_alone() -> None:
    first = HeNormal().values((3, 4), 3, draw(5))
    assert np.array_equal(first, HeNormal().values((3, 4), 3, draw(5)))
    assert not np.array_equal(first, HeNormal().values((3, 4), 3, draw(6)))
    assert not np.array_equal(first, HeNormal().values((3, 4), 3, draw(5, seed=8)))


@pytest.mark.parametrize("arguments", [(-0.1,), (float("nan"),), (float("inf"),)])
def test_impossible_deviations_are_refused(arguments: tuple[float]) -> None:
    with pytest.raises(UsageError, match="standard deviation"):
        Normal(*arguments)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match=f"a mean of {value}; it must be finite"):
        Normal(mean=value)
    with pytest.raises(UsageError, match=f"a constant of {value}; it must be finite"):
        Constant(value)


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(UsageError, match="uniform from 2 to 1"):
        Uniform(2, 1)


def test_a_fan_in_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="fan-in of 0"):
        HeNormal().values((0, 3), 0, draw())
