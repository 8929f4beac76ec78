"""Activations, dropout and softmax."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.attributes import Activation, Dropout
from gpunn.backend.contract.arrays import Array


class ElementwisePrimitives(Protocol):
    """Activations and dropout, and softmax."""

    def activation_forward(self, device: Any, y: Array, x: Array, function: Activation) -> None:
        """y = f(x); y may be x."""

    def activation_backward(
        self, device: Any, gx: Array, gy: Array, saved: Array, function: Activation, accumulate: bool
    ) -> None:
        """gx = gy f'; `saved` is x or y, as function.backward_reads says; gx may be gy."""

    def parametric_relu_forward(self, device: Any, y: Array, x: Array, slope: Array) -> None:
        """y = max(0, x) + slope[c] min(0, x) (He et al., 2015)."""

    def parametric_relu_backward(
        self,
        device: Any,
        gx: Array | None,
        gslope: Array,
        gy: Array,
        x: Array,
        slope: Array,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients of x and of the slopes."""

    def dropout_forward(
        self, device: Any, y: Array, mask: Array, x: Array, step: Array, first_image: Array, settings: Dropout
    ) -> None:
        """y = kept_factor * x where kept, else 0; `mask` (uint8) is 1 where kept; y may be x.

        Element i of the whole batch in N, H, W, C order, images counted from first_image[0], uses the 32-bit
        word i % 8 (low half first) of Philox block i // 8, key (seed, DROPOUT), counter words (step, layer).
        """

    def dropout_backward(
        self, device: Any, gx: Array, gy: Array, mask: Array, settings: Dropout, accumulate: bool
    ) -> None:
        """gx = kept_factor * gy where kept, else 0."""

    def softmax_forward(self, device: Any, y: Array, x: Array) -> None:
        """y (N, K) = exp(x) / sum exp(x), the row's largest subtracted first."""

    def softmax_backward(self, device: Any, gx: Array, gy: Array, y: Array, accumulate: bool) -> None:
        """gx = y (gy - sum of gy y over the row)."""
