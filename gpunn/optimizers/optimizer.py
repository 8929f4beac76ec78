"""What an optimiser is: a rule, the names of its state, and the primitive that applies it to all weights at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from gpunn.errors import UsageError


@dataclass(frozen=True)
class Optimizer(ABC):
    """The base of all optimisers.

    Attributes:
        weight_decay: added to the gradient as decay * w (L2), or applied beside it where the rule is decoupled;
            biases and normalisation parameters are spared.

    Raises:
        UsageError: when a number lies outside its range.
    """

    weight_decay: float = 0.0
    primitive: ClassVar[str]

    def __post_init__(self) -> None:
        if not (self.weight_decay >= 0 and isfinite(self.weight_decay)):
            raise UsageError(f"weight decay is {self.weight_decay}; it must be a finite number and not negative")
        _ = self.rule  # which refuses its own numbers

    @property
    @abstractmethod
    def state(self) -> tuple[str, ...]:
        """The textbook names of its arrays, as checkpoints have them."""

    @property
    def state_arguments(self) -> tuple[str, ...]:
        """The names the primitive gives those arrays, in the same order."""
        return self.state

    @property
    @abstractmethod
    def rule(self) -> Any:
        """The settings of the primitive."""
