"""Optimisers for one weight, in Python floats: each takes a step t, counted from 1, and keeps its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt


@dataclass
class Weight:
    """A weight with what an optimiser remembers of it."""

    w: float
    state: dict[str, float] = field(default_factory=dict)

    def remembered(self, name: str) -> float:
        """A state that starts at zero."""
        return self.state.get(name, 0.0)


def classic_momentum(weight: Weight, g: float, rate: float, a: float) -> None:
    """v = a v + g; w -= rate v."""
    v = weight.state["velocity"] = a * weight.remembered("velocity") + g
    weight.w -= rate * v


def averaged_momentum(weight: Weight, g: float, rate: float, a: float, correction_step: int | None) -> None:
    """v = a v + (1 - a) g; w -= rate v, or rate v / (1 - a^t)."""
    v = weight.state["velocity"] = a * weight.remembered("velocity") + (1 - a) * g
    weight.w -= rate * (v if correction_step is None else v / (1 - a**correction_step))


def nesterov(weight: Weight, g: float, rate: float, a: float) -> None:
    """v = a v + g; w -= rate (g + a v)."""
    v = weight.state["velocity"] = a * weight.remembered("velocity") + g
    weight.w -= rate * (g + a * v)


def adam(weight: Weight, g: float, rate: float, beta1: float, beta2: float, eps: float, t: int, beside: float) -> None:
    """Algorithm 1 of the Adam paper; `beside` is the decay that AdamW applies next to it."""
    m = weight.state["first_moment"] = beta1 * weight.remembered("first_moment") + (1 - beta1) * g
    v = weight.state["second_moment"] = beta2 * weight.remembered("second_moment") + (1 - beta2) * g * g
    corrected_m, corrected_v = m / (1 - beta1**t), v / (1 - beta2**t)
    weight.w -= rate * (corrected_m / (sqrt(corrected_v) + eps) + beside * weight.w)


def rmsprop(weight: Weight, g: float, rate: float, rho: float, eps: float) -> None:
    """r = rho r + (1 - rho) g^2; w -= rate g / (sqrt(r) + eps)."""
    r = weight.state["mean_square"] = rho * weight.remembered("mean_square") + (1 - rho) * g * g
    weight.w -= rate * g / (sqrt(r) + eps)


def adagrad(weight: Weight, g: float, rate: float, delta: float) -> None:
    """r += g^2; w -= rate g / (delta + sqrt(r))."""
    r = weight.state["sum_of_squares"] = weight.remembered("sum_of_squares") + g * g
    weight.w -= rate * g / (delta + sqrt(r))
