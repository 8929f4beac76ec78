"""Convolution on the CPU: each function chooses an algorithm for its geometry.

Gathering (convolution_algorithms.direct) serves every shape and pass; backward-data to few channels goes tap by tap
(convolution_algorithms.tapwise). Further algorithms are chosen here too; each choice is told to the device's journal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract import DType
from gpunn.backend.cpu.activation import activation_backward
from gpunn.backend.cpu.convolution_algorithms import direct, tapwise
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
    device.journal.chose("direct")
    direct.forward(device, y, x, w, bias, geometry, activation, workspace)


def convolution2d_forward_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    return direct.forward_workspace(device, geometry, dtype)


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
    if tapwise.suits(geometry):
        device.journal.chose("tapwise", lambda: tapwise.backward_data_flops(geometry))
        tapwise.backward_data(device, gx, gy, w, geometry, accumulate, workspace)
    else:
        device.journal.chose("direct", lambda: direct.backward_data_flops(geometry))
        direct.backward_data(device, gx, gy, w, geometry, accumulate, workspace)
    if saved is not None:
        activation_backward(device, gx, gx, saved, activation, False)


def convolution2d_backward_data_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    if tapwise.suits(geometry):
        return tapwise.backward_data_workspace(device, geometry, dtype)
    return direct.backward_data_workspace(device, geometry, dtype)


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
    device.journal.chose("direct")
    direct.backward_filter(device, gw, gbias, x, gy, geometry, accumulate, workspace)


def convolution2d_backward_filter_workspace(
    device: CpuDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch."""
    return direct.backward_filter_workspace(device, geometry, dtype)
