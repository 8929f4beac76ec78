"""Fully connected layers on CUDA: convolutions of images of one pixel with filters of one tap."""

from __future__ import annotations

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cuda.convolution import (
    convolution2d_backward_data,
    convolution2d_backward_data_workspace,
    convolution2d_backward_filter,
    convolution2d_backward_filter_workspace,
    convolution2d_forward,
    convolution2d_forward_workspace,
)
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.shared.shapes import require_shapes
from gpunn.geometry import LinearGeometry


def linear_forward(
    device: CudaDevice,
    y: Array,
    x: Array,
    w: Array,
    bias: Array | None,
    geometry: LinearGeometry,
    activation: Activation,
    arithmetic: Arithmetic,
    workspace: Memory,
) -> None:
    """y = f(x w + bias): x (N, inputs), w (inputs, outputs). y may be float32 where x is narrower.

    Raises:
        UsageError: for arrays that do not fit the geometry.
        DeviceError: when the device has no kernel for the types.
    """
    g = geometry
    require_shapes("linear_forward", y=(y, g.output_shape), x=(x, g.input_shape), w=(w, g.weight_shape))
    convolution2d_forward(
        device, _images(y), _images(x), _filters(w), bias, g.as_convolution, activation, arithmetic, workspace
    )


def linear_forward_workspace(device: CudaDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic) -> int:
    """Bytes of scratch: sums over parts of the inputs, where there are few outputs."""
    return convolution2d_forward_workspace(device, geometry.as_convolution, dtype, arithmetic)


def linear_backward_data(
    device: CudaDevice,
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
    """gx = gy w^T, times the derivative of the activation before it.

    Raises:
        UsageError: for arrays that do not fit the geometry, an f without `saved`, or an f with `accumulate`.
        DeviceError: when the device has no kernel for the types.
    """
    g = geometry
    require_shapes(
        "linear_backward_data",
        gx=(gx, g.input_shape),
        gy=(gy, g.output_shape),
        w=(w, g.weight_shape),
        saved=(saved, g.input_shape),
    )
    convolution2d_backward_data(
        device,
        _images(gx),
        _images(gy),
        _filters(w),
        None if saved is None else _images(saved),
        g.as_convolution,
        activation,
        accumulate,
        arithmetic,
        workspace,
    )


def linear_backward_data_workspace(
    device: CudaDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch: sums over parts of the outputs, where there are few inputs."""
    return convolution2d_backward_data_workspace(device, geometry.as_convolution, dtype, arithmetic)


def linear_backward_weight(
    device: CudaDevice,
    gw: Array,
    gbias: Array | None,
    x: Array,
    gy: Array,
    geometry: LinearGeometry,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Memory,
) -> None:
    """gw = x^T gy; gbias = the column sums of gy.

    Raises:
        UsageError: for arrays that do not fit the geometry.
        DeviceError: when the device has no kernel for the types.
    """
    g = geometry
    require_shapes("linear_backward_weight", gw=(gw, g.weight_shape), x=(x, g.input_shape), gy=(gy, g.output_shape))
    convolution2d_backward_filter(
        device, _filters(gw), gbias, _images(x), _images(gy), g.as_convolution, accumulate, arithmetic, workspace
    )


def linear_backward_weight_workspace(
    device: CudaDevice, geometry: LinearGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch: sums over parts of the images."""
    return convolution2d_backward_filter_workspace(device, geometry.as_convolution, dtype, arithmetic)


def _images(array: Array) -> Array:
    """N rows as N images of one pixel."""
    return array[:, None, None, :]


def _filters(array: Array) -> Array:
    """(inputs, outputs) as filters of one tap."""
    return array[None, None]
