"""How gradients become steps."""

from __future__ import annotations

from gpunn.optimizers.adaptive import AdaGrad, Adam, AdamW, RmsProp
from gpunn.optimizers.by_name import LEARNING_RATES, optimizer
from gpunn.optimizers.optimizer import Optimizer
from gpunn.optimizers.sgd import Sgd

__all__ = ["LEARNING_RATES", "AdaGrad", "Adam", "AdamW", "Optimizer", "RmsProp", "Sgd", "optimizer"]
