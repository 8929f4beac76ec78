"""Fully connected layers."""

from __future__ import annotations

from typing import Any, Protocol

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract.arrays import Array, DType, Memory
from gpunn.geometry import LinearGeometry


class LinearPrimitives(Protocol):
    """Fully connected layers."""

    def linear_forward(
        self,
        device: Any,
        y: Array,
        x: Array,
        w: Array,
        bias: Array | None,
        geometry: LinearGeometry,
        activation: Activation,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """y = f(x w + bias): x (N, inputs), w (inputs, outputs). y may have a wider type than x."""

    def linear_forward_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x."""

    def linear_backward_data(
        self,
        device: Any,
        gx: Array,
        gy: Array,
        w: Array,
        saved: Array | None,
        geometry: LinearGeometry,
        activation: Activation,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gx = gy w^T, times the derivative of the activation before it, as in convolution2d_backward_data."""

    def linear_backward_data_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of gy."""

    def linear_backward_weight(
        self,
        device: Any,
        gw: Array,
        gbias: Array | None,
        x: Array,
        gy: Array,
        geometry: LinearGeometry,
        accumulate: bool,
        arithmetic: Arithmetic,
        workspace: Memory,
    ) -> None:
        """gw = x^T gy; gbias = the column sums of gy."""

    def linear_backward_weight_workspace(
        self, device: Any, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
    ) -> int:
        """Bytes of scratch; `dtype` is that of x and gy."""
