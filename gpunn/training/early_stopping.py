"""Early stopping: end a run whose validation no longer improves, and remember which epoch was best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Literal

from gpunn.errors import UsageError


@dataclass
class EarlyStopping:
    """Watches one number per epoch.

    Attributes:
        patience: epochs without improvement that end the run; None never ends it, the best is still remembered.
        direction: "max" where larger is better (accuracy), "min" where smaller is (loss).
        minimum_change: an improvement counts when it is larger than this.
        best: the best number so far.
        best_epoch: the epoch it came from.
        epochs_without_improvement: epochs since then.
    """

    patience: int | None
    direction: Literal["max", "min"]
    minimum_change: float = 0.0
    best: float | None = None
    best_epoch: int | None = None
    epochs_without_improvement: int = 0

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience {self.patience} is not possible; give 1 epoch or more, or leave it out")
        if self.direction not in ("max", "min"):
            raise UsageError(f"direction {self.direction!r} is not known; choose 'max' or 'min'")
        if not 0 <= self.minimum_change < float("inf"):
            raise UsageError(f"minimum change {self.minimum_change} is not possible; give 0 or more")

    def update(self, epoch: int, value: float) -> bool:
        """Take the number of one more epoch; True when it is the best so far. NaN never is."""
        improved = not isnan(value) and (self.best is None or self._gain(value, self.best) > self.minimum_change)
        if improved:
            self.best, self.best_epoch, self.epochs_without_improvement = value, epoch, 0
        else:
            self.epochs_without_improvement += 1
        return improved

    def _gain(self, value: float, best: float) -> float:
        return value - best if self.direction == "max" else best - value

    @property
    def should_stop(self) -> bool:
        """Whether the patience is used up."""
        return self.patience is not None and self.epochs_without_improvement >= self.patience

    def to_manifest(self) -> dict[str, Any]:
        """Settings and state as JSON knows them."""
        return asdict(self)

    @classmethod
    def from_manifest(cls, state: Mapping[str, Any]) -> EarlyStopping:
        """The watcher that `to_manifest` described.

        Raises:
            TypeError: when a key is missing or unknown.
            UsageError: when a setting is not possible.
        """
        return cls(**state)
