"""Batch norm, group norm and local response norm."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.attributes import Activation, LocalResponse, Normalization
from gpunn.backend.contract.arrays import Array


class NormalizationPrimitives(Protocol):
    """Batch norm, group norm, local response norm."""

    def batch_norm_forward(
        self,
        device: Any,
        y: Array,
        mean: Array,
        inverse_deviation: Array,
        running_mean: Array,
        running_variance: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
        activation: Activation,
    ) -> None:
        """y = f(gamma (x - mean) / sqrt(variance + eps) + beta) over all but the last axis, biased variance.

        Saves `mean` and `inverse_deviation`; moves the running mean and the running unbiased variance.
        (Ioffe and Szegedy, 2015, algorithm 1.)
        """

    def batch_norm_inference(
        self,
        device: Any,
        y: Array,
        x: Array,
        running_mean: Array,
        running_variance: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
        activation: Activation,
    ) -> None:
        """The same function with the running statistics."""

    def fold_batch_norm(
        self,
        device: Any,
        filters: Array,
        offset: Array,
        w: Array,
        bias: Array | None,
        running_mean: Array,
        running_variance: Array,
        gamma: Array,
        beta: Array,
        settings: Normalization,
    ) -> None:
        """filters[..., k] = s[k] w[..., k]; offset[k] = s[k] (bias[k] - mean[k]) + beta[k]; s = gamma / deviation.

        A convolution with these computes batch_norm_inference after the convolution with w and bias. `filters` may
        have a narrower type than w.
        """

    def batch_norm_backward(
        self,
        device: Any,
        gx: Array | None,
        ggamma: Array,
        gbeta: Array,
        gy: Array,
        x: Array,
        mean: Array,
        inverse_deviation: Array,
        gamma: Array,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients through the batch statistics; gx may be None."""

    def group_norm_forward(
        self,
        device: Any,
        y: Array,
        mean: Array,
        inverse_deviation: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        groups: int,
        eps: float,
    ) -> None:
        """As batch norm, over the rows, columns and channels of each group of one image (Wu and He, 2018).

        `mean` and `inverse_deviation` are (N, groups).
        """

    def group_norm_backward(
        self,
        device: Any,
        gx: Array | None,
        ggamma: Array,
        gbeta: Array,
        gy: Array,
        x: Array,
        mean: Array,
        inverse_deviation: Array,
        gamma: Array,
        groups: int,
        accumulate: bool,
        accumulate_parameters: bool,
    ) -> None:
        """Gradients through the statistics; gx may be None."""

    def local_response_norm_forward(
        self, device: Any, y: Array, denominator: Array, x: Array, settings: LocalResponse
    ) -> None:
        """y = x / d^beta; d = k + alpha * sum of x^2 over channels c - n//2 to c - n//2 + n - 1 is saved.

        (Krizhevsky, Sutskever and Hinton, 2012, section 3.3.)
        """

    def local_response_norm_backward(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        x: Array,
        y: Array,
        denominator: Array,
        settings: LocalResponse,
        accumulate: bool,
    ) -> None:
        """gx = gy / d^beta - 2 alpha beta x * sum over the mirrored window of gy y / d."""
