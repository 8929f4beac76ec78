"""Optimisers that scale each weight's step by the history of its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule
from gpunn.optimizers.optimizer import Optimizer


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    primitive: ClassVar[str] = "adam"

    @property
    def state(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment")

    @property
    def rule(self) -> AdamRule:
        return AdamRule(self.beta1, self.beta2, self.eps, decoupled=False)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with the weight decay beside the step (Loshchilov and Hutter, 2019)."""

    @property
    def rule(self) -> AdamRule:
        return AdamRule(self.beta1, self.beta2, self.eps, decoupled=True)


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """RMSProp (Tieleman and Hinton, 2012), eps outside the root."""

    rho: float = 0.9
    eps: float = 1e-8
    primitive: ClassVar[str] = "rmsprop"

    @property
    def state(self) -> tuple[str, ...]:
        return ("mean_square",)

    @property
    def rule(self) -> RmsPropRule:
        return RmsPropRule(self.rho, self.eps)


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """AdaGrad (Duchi, Hazan and Singer, 2011), delta outside the root."""

    delta: float = 1e-7
    primitive: ClassVar[str] = "adagrad"

    @property
    def state(self) -> tuple[str, ...]:
        return ("sum_of_squares",)

    @property
    def rule(self) -> AdaGradRule:
        return AdaGradRule(self.delta)
