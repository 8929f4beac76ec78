"""Optimisers by the names of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from gpunn.backend.attributes import MomentumStyle
from gpunn.errors import UsageError
from gpunn.optimizers.adaptive import AdaGrad, Adam, AdamW, RmsProp
from gpunn.optimizers.optimizer import Optimizer
from gpunn.optimizers.sgd import Sgd

#: What each is usually started with when a recipe was written for another one.
LEARNING_RATES: Mapping[str, float] = {"sgd": 0.01, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "adagrad": 1e-2}


def optimizer(name: str, weight_decay: float, momentum: float, style: MomentumStyle = "classic") -> Optimizer:
    """The optimiser of that name; momentum and its style belong to "sgd" alone.

    Raises:
        UsageError: when there is none of that name.
    """
    match name:
        case "sgd":
            return Sgd(weight_decay, momentum, style)
        case "adam":
            return Adam(weight_decay)
        case "adamw":
            return AdamW(weight_decay)
        case "rmsprop":
            return RmsProp(weight_decay)
        case "adagrad":
            return AdaGrad(weight_decay)
        case _:
            raise UsageError(f"optimizer {name!r} is not known; choose one of {', '.join(LEARNING_RATES)}")
