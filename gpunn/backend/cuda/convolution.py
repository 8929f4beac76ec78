"""Convolution on CUDA: arrays are checked, and the best variant for the shape is launched."""

from __future__ import annotations

from gpunn.backend.attributes import LINEAR, Activation, Arithmetic
from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cuda.convolution_kernels.simt import SIMT_BACKWARD_DATA, SIMT_BACKWARD_FILTER, SIMT_FORWARD
from gpunn.backend.cuda.convolution_kernels.tensor_core import (
    TENSOR_CORE_BACKWARD_DATA,
    TENSOR_CORE_BACKWARD_FILTER,
    TENSOR_CORE_FORWARD,
)
from gpunn.backend.cuda.convolution_kernels.variants import (
    BackwardDataCall,
    BackwardFilterCall,
    ForwardCall,
    Problem,
    Variant,
    largest_workspace,
    launch_best,
)
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.shared.shapes import require_shapes
from gpunn.errors import UsageError
from gpunn.geometry import Conv2dGeometry

_FORWARD: tuple[Variant[ForwardCall], ...] = (*SIMT_FORWARD, *TENSOR_CORE_FORWARD)
_BACKWARD_DATA: tuple[Variant[BackwardDataCall], ...] = (*SIMT_BACKWARD_DATA, *TENSOR_CORE_BACKWARD_DATA)
_BACKWARD_FILTER: tuple[Variant[BackwardFilterCall], ...] = (*SIMT_BACKWARD_FILTER, *TENSOR_CORE_BACKWARD_FILTER)


def convolution2d_forward(
    device: CudaDevice,
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

    ReLU is part of the kernel; any other f is applied to y afterwards. x and y may be slices of the channels of wider
    arrays; y may be float32 where x is narrower.

    Raises:
        UsageError: for arrays that do not fit the geometry.
        DeviceError: when the device has no kernel for the types.
    """
    require_shapes(
        "convolution2d_forward",
        y=(y, geometry.output_shape),
        x=(x, geometry.input_shape),
        w=(w, geometry.filter_shape),
        bias=(bias, (geometry.K,)),
    )
    problem = Problem(geometry, x.dtype, arithmetic, device.capability)
    call = ForwardCall(problem, y, x, w, bias, activation.name == "relu", workspace)
    launch_best(device, "convolution2d_forward", _FORWARD, call)
    if activation.name not in ("linear", "relu"):
        device.primitives.activation_forward(device, y, y, activation)


def convolution2d_forward_workspace(
    device: CudaDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch: sums of parts of the taps, where there are few outputs."""
    return largest_workspace(_FORWARD, Problem(geometry, dtype, arithmetic, device.capability))


def convolution2d_backward_data(
    device: CudaDevice,
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

    ReLU's derivative is part of the kernel; any other is applied to gx afterwards.

    Raises:
        UsageError: for arrays that do not fit the geometry, an f without `saved`, or an f with `accumulate`.
        DeviceError: when the device has no kernel for the types.
    """
    require_shapes(
        "convolution2d_backward_data",
        gx=(gx, geometry.input_shape),
        gy=(gy, geometry.output_shape),
        w=(w, geometry.filter_shape),
        saved=(saved, geometry.input_shape),
    )
    if (saved is None) != (activation == LINEAR) or (accumulate and saved is not None):
        raise UsageError(
            f"convolution2d_backward_data: the derivative of {activation.name} with accumulate={accumulate} and "
            f"{'no' if saved is None else 'a'} saved array; a derivative needs one, and takes no accumulate"
        )
    problem = Problem(geometry, gy.dtype, arithmetic, device.capability)
    is_relu = activation.name == "relu"
    call = BackwardDataCall(problem, gx, gy, w, saved if is_relu else None, accumulate, workspace)
    launch_best(device, "convolution2d_backward_data", _BACKWARD_DATA, call)
    if saved is not None and not is_relu:
        device.primitives.activation_backward(device, gx, gx, saved, activation, False)


def convolution2d_backward_data_workspace(
    device: CudaDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch: sums of parts of the taps, where the image is small."""
    return largest_workspace(_BACKWARD_DATA, Problem(geometry, dtype, arithmetic, device.capability))


def convolution2d_backward_filter(
    device: CudaDevice,
    gw: Array,
    gbias: Array | None,
    x: Array,
    gy: Array,
    geometry: Conv2dGeometry,
    accumulate: bool,
    arithmetic: Arithmetic,
    workspace: Memory,
) -> None:
    """gw[r,s,c,k] = sum over n,p,q of x[n, p*stride + r*dilation - top, ..., c] * gy[n,p,q,k]; gbias = sum gy.

    Raises:
        UsageError: for arrays that do not fit the geometry.
        DeviceError: when the device has no kernel for the types.
    """
    require_shapes(
        "convolution2d_backward_filter",
        gw=(gw, geometry.filter_shape),
        gbias=(gbias, (geometry.K,)),
        x=(x, geometry.input_shape),
        gy=(gy, geometry.output_shape),
    )
    problem = Problem(geometry, x.dtype, arithmetic, device.capability)
    call = BackwardFilterCall(problem, gw, gbias, x, gy, accumulate, workspace)
    launch_best(device, "convolution2d_backward_filter", _BACKWARD_FILTER, call)


def convolution2d_backward_filter_workspace(
    device: CudaDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """Bytes of scratch: sums over parts of the output pixels."""
    return largest_workspace(_BACKWARD_FILTER, Problem(geometry, dtype, arithmetic, device.capability))
