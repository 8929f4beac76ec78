"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from gpunn.backend.attributes import SgdRule
from gpunn.errors import UsageError
from gpunn.optimizers.optimizer import Optimizer


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Gradient descent with momentum: "classic" v = a v + g, "ema" v = a v + (1 - a) g, or "nesterov".

    ema with learning rate lr equals classic with lr * (1 - a).
    """

    momentum: float = 0.9
    style: Literal["classic", "ema", "nesterov"] = "classic"
    bias_correction: bool = False
    primitive: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum is {self.momentum}; it must be at least 0 and below 1")

    @property
    def state(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    @property
    def state_arguments(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    @property
    def rule(self) -> SgdRule:
        return SgdRule(self.momentum, self.style, self.bias_correction)
