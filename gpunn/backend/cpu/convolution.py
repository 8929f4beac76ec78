"""Convolution on the CPU: each function has an algorithm chosen for its geometry (convolution_algorithms.choosing)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract import DType
from gpunn.backend.cpu.activation import activation_backward
from gpunn.backend.cpu.convolution_algorithms.algorithm import BackwardDataCall, BackwardFilterCall, ForwardCall
from gpunn.backend.cpu.convolution_algorithms.choosing import (
    BACKWARD_DATA,
    BACKWARD_FILTER,
    FORWARD,
    carry_out,
    workspace_bytes,
)
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Conv2dGeometry

Array = np.ndarray[Any, Any]


def convolution2d_forward(
    device: CpuDevice,
    y: Array,
    x: Array,
    w: Array,
    bias: Array | None,
    geometry: Conv2dGeometry,
    activation: Activation,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """y[n,p,q,k] = f(bias[k] + sum over r,s,c of x[n, p*stride + r*dilation - top, ..., c] * w[r,s,c,k])."""
    call = ForwardCall(y, x, w, bias, geometry, activation, workspace)
    carry_out(device, FORWARD, call, arithmetic)


def convolution2d_forward_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    return workspace_bytes(device, FORWARD, geometry, dtype, arithmetic)


def convolution2d_backward_data(
    device: CpuDevice,
    gx: Array,
    gy: Array,
    w: Array,
    saved: Array | None,
    geometry: Conv2dGeometry,
    activation: Activation,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """gx = the transpose of the convolution applied to gy, times the derivative of the activation before it."""
    call = BackwardDataCall(gx, gy, w, geometry, accumulate, workspace)
    carry_out(device, BACKWARD_DATA, call, arithmetic)
    if saved is not None:
        activation_backward(device, gx, gx, saved, activation, False)


def convolution2d_backward_data_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    return workspace_bytes(device, BACKWARD_DATA, geometry, dtype, arithmetic)


def convolution2d_backward_filter(
    device: CpuDevice,
    gw: Array,
    gbias: Array | None,
    x: Array,
    gy: Array,
    geometry: Conv2dGeometry,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Array,
) -> None:
    """gw[r,s,c,k] = sum over n,p,q of x[n, p*stride + r*dilation - top, ..., c] * gy[n,p,q,k]; gbias = sum gy."""
    call = BackwardFilterCall(gw, gbias, x, gy, geometry, accumulate, workspace)
    carry_out(device, BACKWARD_FILTER, call, arithmetic)


def convolution2d_backward_filter_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    return workspace_bytes(device, BACKWARD_FILTER, geometry, dtype, arithmetic)
