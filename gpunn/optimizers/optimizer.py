"""What an optimiser is: a rule, the names of its state, and the primitive that applies it to all weights at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Optimizer(ABC):
    """The base of all optimisers.

    Attributes:
        weight_decay: added to the gradient as decay * w (L2), or applied beside it where the rule is decoupled;
            biases and normalisation parameters are spared.
    """

    weight_decay: float = 0.0
    primitive: ClassVar[str]

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
