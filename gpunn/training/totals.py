"""What has come of some images: the losses and the hits, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, nan

from gpunn.losses import Objective


@dataclass(frozen=True)
class Totals:
    """Sums over images.

    Attributes:
        loss: what is minimised, penalties left out: the losses of all objectives, each times its weight.
        top1: images whose class scored highest, as the first objective that ranks classes counts them; NaN where
            none does.
        top5: images whose class was among the five highest, likewise.
        images: how many.
        losses: of each objective, without its weight.
    """

    loss: float
    top1: float
    top5: float
    images: float
    losses: tuple[float, ...] = ()

    @classmethod
    def of(cls, objectives: Sequence[Objective], sums: Sequence[Sequence[float]]) -> Totals:
        """From the sums of every objective: loss, top-1 hits, top-5 hits, images."""
        losses = tuple(own[0] for own in sums)
        ranked = (own for objective, own in zip(objectives, sums, strict=True) if objective.loss.ranks)
        _, top1, top5, _ = next(ranked, (nan,) * 4)
        weighted = (objective.weight * loss for objective, loss in zip(objectives, losses, strict=True))
        return cls(fsum(weighted), top1, top5, sums[0][3], losses)

    @property
    def mean_loss(self) -> float:
        """Per image."""
        return self._mean(self.loss)

    @property
    def mean_losses(self) -> tuple[float, ...]:
        """Per image, of each objective without its weight."""
        return tuple(self._mean(loss) for loss in self.losses)

    @property
    def top1_rate(self) -> float:
        """0 to 1."""
        return self._mean(self.top1)

    @property
    def top5_rate(self) -> float:
        """0 to 1."""
        return self._mean(self.top5)

    def _mean(self, total: float) -> float:
        return total / self.images if self.images else nan
