"""The update of all weights, and what surrounds it.

Loss scaling is for types with a narrow range (Micikevicius et al., "Mixed precision training", 2018, section 3.2).
Optimisers take flat arrays, and one call for all weights. They do nothing when apply[0] is 0, and count t = step + 1;
`rounded` (None: not wanted) gets a copy of the new parameters in the stored type.
"""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule, SgdRule
from gpunn.backend.contract.arrays import Array


class UpdatePrimitives(Protocol):
    """The update of all weights, and what surrounds it."""

    def set_loss_scale(self, device: Any, loss_scale: Array, loss_share: Array, loss_multiplier: Array) -> None:
        """loss_scale = loss_share * loss_multiplier."""

    def unscale_gradients(
        self, device: Any, gradients: Array, loss_multiplier: Array, finite_steps: Array, apply: Array
    ) -> None:
        """gradients /= loss_multiplier; nothing when apply[0] is 0.

        When a gradient is not finite, apply = 0, the multiplier is halved (not below 1) and finite_steps = 0; else
        finite_steps += 1, and after LOSS_SCALE_PATIENCE steps in a row the multiplier is doubled, up to
        LARGEST_LOSS_SCALE.
        """

    def finite_check(self, device: Any, apply: Array, latched_step: Array, values: Array, step: Array) -> None:
        """Clear `apply` when a value is not finite, and keep the first such step in `latched_step` (-1: none)."""

    def clip_global_norm(
        self, device: Any, norm: Array, gradient_scale: Array, gradients: Array, segments: SegmentTable, maximum: float
    ) -> None:
        """norm = the root of the sum of squares of all trainable gradients; gradient_scale = min(1, maximum / norm).

        (Pascanu, Mikolov and Bengio, 2013, algorithm 1.)
        """

    def sgd(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        velocity: Array | None,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: SgdRule,
    ) -> None:
        """One step over the runs of `segments`: g = gradient_scale * gradient + decay * w; see SgdRule.

        `velocity` is None without momentum.
        """

    def adam(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        first_moment: Array,
        second_moment: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: AdamRule,
    ) -> None:
        """See AdamRule."""

    def rmsprop(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        mean_square: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: RmsPropRule,
    ) -> None:
        """See RmsPropRule."""

    def adagrad(
        self,
        device: Any,
        parameters: Array,
        rounded: Array | None,
        sum_of_squares: Array,
        gradients: Array,
        learning_rate: Array,
        gradient_scale: Array,
        step: Array,
        apply: Array,
        segments: SegmentTable,
        rule: AdaGradRule,
    ) -> None:
        """See AdaGradRule."""

    def commit_statistics(self, device: Any, statistics: Array, pending: Array, apply: Array) -> None:
        """Keep the running statistics that a step proposed (statistics = pending), or undo them (the reverse)."""

    def advance(self, device: Any, step: Array, apply: Array, latched_step: Array) -> None:
        """step += 1 and apply = 1, as long as latched_step is -1: after a void step that is latched, all are void."""
