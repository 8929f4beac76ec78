"""Convolution on CUDA."""

from __future__ import annotations

from gpunn.backend.attributes import Activation, Arithmetic
from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cuda.arguments import channel_pitch
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launch import Grid
from gpunn.errors import UsageError
from gpunn.geometry import Conv2dGeometry

#: The tile and the block of kernels/convolution2d_forward.cu.
_TILE_PIXELS = 64
_TILE_FILTERS = 64
_BLOCK_THREADS = 256


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

    float32. ReLU is part of the kernel; any other f is applied to y afterwards. x and y may be slices of the channels
    of wider arrays.

    Raises:
        UsageError: for arrays that do not fit the geometry, or an f that the device does not have.
    """
    g = geometry
    for name, array, shape in (("y", y, g.output_shape), ("x", x, g.input_shape), ("w", w, g.filter_shape)):
        if array.shape != shape:
            raise UsageError(f"convolution2d_forward: {name} has shape {array.shape}; the geometry wants {shape}")
    if bias is not None and bias.shape != (g.K,):
        raise UsageError(f"convolution2d_forward: bias has shape {bias.shape}; the geometry wants {(g.K,)}")
    pixels = g.N * g.P * g.Q
    blocks = (-(-pixels // _TILE_PIXELS), -(-(g.K // g.groups) // _TILE_FILTERS), g.groups)
    device.launcher.launch(
        "convolution2d_forward.cu",
        "convolution2d_forward",
        Grid(blocks, (_BLOCK_THREADS, 1, 1)),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "x": x,
            "x_pitch": channel_pitch(x),
            "w": w,
            "bias": bias,
            "N": g.N,
            "H": g.H,
            "W": g.W,
            "C": g.C,
            "K": g.K,
            "R": g.R,
            "S": g.S,
            "P": g.P,
            "Q": g.Q,
            "groups": g.groups,
            "stride_rows": g.stride.rows,
            "stride_columns": g.stride.columns,
            "padding_top": g.padding.top,
            "padding_left": g.padding.left,
            "dilation_rows": g.dilation.rows,
            "dilation_columns": g.dilation.columns,
            "apply_relu": activation.name == "relu",
        },
    )
    if activation.name not in ("linear", "relu"):
        device.primitives.activation_forward(device, y, y, activation)


def convolution2d_forward_workspace(
    device: CudaDevice, geometry: Conv2dGeometry, dtype: DType, arithmetic: Arithmetic
) -> int:
    """None: the matrix of patches is never stored."""
    return 0
