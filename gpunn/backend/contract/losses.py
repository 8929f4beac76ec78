"""Losses and penalties with their gradients.

`loss` is one number an image; `gradient` (None: not wanted) is multiplied by weight * loss_scale[0], and may have a
narrower type than the logits.
"""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import Penalty
from gpunn.backend.contract.arrays import Array


class LossPrimitives(Protocol):
    """Losses and penalties with their gradients."""

    def softmax_cross_entropy(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        ranks: Array,
        logits: Array,
        labels: Array,
        loss_scale: Array,
        smoothing: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = -sum q log softmax(logits), q = (1 - smoothing) [k = label] + smoothing / K.

        (Szegedy et al., 2016, section 7.) `ranks` (int32) counts the classes that score above the label, earlier
        ones on a tie: 0 is a top-1 hit, below 5 a top-5 hit.
        """

    def softmax_cross_entropy_soft(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        ranks: Array,
        logits: Array,
        targets: Array,
        loss_scale: Array,
        smoothing: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """The same with `targets` (N, K) that sum to 1; the label of `ranks` is the first largest target."""

    def binary_cross_entropy(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        logits: Array,
        targets: Array,
        loss_scale: Array,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = sum over the row of log(1 + exp(x)) - t x, which is cross-entropy on sigmoid(x)."""

    def squared_error(
        self,
        device: Any,
        loss: Array,
        gradient: Array | None,
        predictions: Array,
        targets: Array,
        loss_scale: Array,
        factor: float,
        weight: float,
        accumulate: bool,
    ) -> None:
        """loss = factor * sum over the row of (x - t)^2."""

    def record_losses(self, device: Any, totals: Array, loss: Array, ranks: Array | None, apply: Array) -> None:
        """totals (float64, 4) += sum of loss, top-1 hits, top-5 hits, images; nothing when apply[0] is 0."""

    def penalty_value(
        self, device: Any, value: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
    ) -> None:
        """value (float64, 1) = strength / p * sum |w|^p over the segments with decay."""

    def penalty_gradient(
        self, device: Any, gradients: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
    ) -> None:
        """gradients += strength * |w|^(p-1) * sign(w) over the segments with decay."""
