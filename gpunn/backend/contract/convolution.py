"""Convolution, and the locally connected one, whose filters differ from place to place."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract.arrays import Array, DType, Memory
from gpunn.geometry import Conv2dGeometry


class ConvolutionPrimitives(Protocol):
    """Convolution, with filters shared or of each place."""

    def convolution2d_forward(
        self,
        device: Any,
        y: Array,
        x: Array,
        w: Array,
        bias: Array | None,
        geometry: Conv2dGeometry,
        activation: Activation,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """y[n,p,q,k] = f(bias[k] + sum over r,s,c of x[n, p*stride + r*dilation - top, ..., c] * w[r,s,c,k]).

        y may have a wider type than x.
        """

    def convolution2d_forward_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x."""

    def convolution2d_backward_data(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        w: Array,
        saved: Array | None,
        geometry: Conv2dGeometry,
        activation: Activation,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gx = the transpose of the convolution applied to gy, times the derivative f' of the activation before it.

        `saved` is what activation_backward reads, None when f is linear; `accumulate` goes with a linear f only.
        """

    def convolution2d_backward_data_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of gy."""

    def convolution2d_backward_filter(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: Conv2dGeometry,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gw[r,s,c,k] = sum over n,p,q of x[n, p*stride + r*dilation - top, ..., c] * gy[n,p,q,k]; gbias = sum gy."""

    def convolution2d_backward_filter_workspace(
        self, device: Any, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x and gy."""

    def locally_connected2d_forward(
        self, device: Any, y: Array, x: Array, w: Array, bias: Array | None, geometry: Conv2dGeometry
    ) -> None:
        """As convolution2d_forward with w (P, Q, R, S, C, K) and bias (P, Q, K); one group."""

    def locally_connected2d_backward_data(
        self, device: Any, gx: Array, gy: Array, w: Array, geometry: Conv2dGeometry, accumulate: bool
    ) -> None:
        """gx = the transpose applied to gy."""

    def locally_connected2d_backward_filter(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: Conv2dGeometry,
        accumulate: bool,
    ) -> None:
        """gw[p,q,r,s,c,k] = sum over n of the product of input and gy; gbias[p,q,k] = sum over n of gy."""
