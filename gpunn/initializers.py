"""First values of parameters.

An initialiser describes a distribution; it holds no generator. Whoever fills a network draws the numbers of its
i-th parameter from gpunn.random.generator(seed, Stream.INITIALIZATION, i), so a parameter's values depend on the
seed and its place alone. `fan_in` is how many inputs meet in one output: inputs of a linear layer, R*S*C/G of a
convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, Protocol

import numpy as np

from gpunn.errors import ShapeError, UsageError
from gpunn.geometry import Shape

Values = np.ndarray[Any, np.dtype[np.float64]]


class Initializer(Protocol):
    """A rule for the first values of one parameter."""

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """Float64 values of that shape.

        Raises:
            UsageError: when the rule does not fit the parameter.
        """


@dataclass(frozen=True)
class Normal:
    """Normal numbers; N(0, 1) as it stands, N(0, 0.01^2) in the AlexNet paper."""

    standard_deviation: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        if not (self.standard_deviation >= 0 and isfinite(self.standard_deviation)):
            raise UsageError(f"a standard deviation of {self.standard_deviation}; it must be finite and not negative")
        if not isfinite(self.mean):
            raise UsageError(f"a mean of {self.mean}; it must be finite")

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """mean + standard_deviation * randn."""
        return generator.standard_normal(shape) * self.standard_deviation + self.mean


@dataclass(frozen=True)
class XavierNormal:
    """randn * sqrt(1 / fan_in), the same as randn / sqrt(fan_in): keeps the variance through linear units.

    (Glorot and Bengio, 2010, in the form that counts inputs only.)
    """

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """Normal numbers of variance 1 / fan_in."""
        return generator.standard_normal(shape) * _root_over_inputs(1.0, fan_in)


@dataclass(frozen=True)
class HeNormal:
    """randn * sqrt(2 / fan_in): keeps the variance through ReLU, which halves it (He et al., 2015, equation 10)."""

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """Normal numbers of variance 2 / fan_in."""
        return generator.standard_normal(shape) * _root_over_inputs(2.0, fan_in)


@dataclass(frozen=True)
class Uniform:
    """Numbers equally likely between low and high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (self.low <= self.high and isfinite(self.low) and isfinite(self.high)):
            raise UsageError(f"uniform from {self.low} to {self.high}: the limits must be finite and in this order")

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """low + (high - low) * random."""
        return generator.random(shape) * (self.high - self.low) + self.low


@dataclass(frozen=True)
class Constant:
    """One value everywhere, such as the bias of 1 that the AlexNet paper gives to half its layers."""

    value: float

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise UsageError(f"a constant of {self.value}; it must be finite")

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """`value` everywhere; nothing is drawn."""
        return np.full(shape, self.value, np.float64)


@dataclass(frozen=True)
class Zeros:
    """Zero everywhere: right for biases; for weights every unit of a layer then learns the same."""

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """Zeros; nothing is drawn."""
        return np.zeros(shape, np.float64)


@dataclass(frozen=True, eq=False)
class FromArray:
    """Given values, such as those of a trained network."""

    array: np.ndarray[Any, Any]

    def values(self, shape: Shape, fan_in: int, generator: np.random.Generator) -> Values:
        """A copy of the array.

        Raises:
            ShapeError: when the parameter has another shape.
        """
        if self.array.shape != tuple(shape):
            raise ShapeError(
                f"initial values of shape {self.array.shape} for a parameter of shape {tuple(shape)}; "
                "give an array of the parameter's shape, or start this parameter anew"
            )
        return np.array(self.array, np.float64)


def _root_over_inputs(gain: float, fan_in: int) -> float:
    if fan_in < 1:
        raise UsageError(f"a fan-in of {fan_in}: the variance is divided by it, so it must be at least 1")
    return sqrt(gain / fan_in)
