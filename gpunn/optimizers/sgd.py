"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpunn.backend.attributes import MomentumStyle, SgdRule
from gpunn.optimizers.optimizer import Optimizer


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Gradient descent with momentum: "classic" v = a v + g, "ema" v = a v + (1 - a) g, or "nesterov".

    ema with learning rate lr equals classic with lr * (1 - a).
    """

    momentum: float = 0.9
    style: MomentumStyle = "classic"
    bias_correction: bool = False
    primitive: ClassVar[str] = "sgd"

    @property
    def state(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    @property
    def state_arguments(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    @property
    def rule(self) -> SgdRule:
        return SgdRule(self.momentum, self.style, self.bias_correction)
