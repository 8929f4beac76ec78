"""Locally connected layers on CUDA."""

from __future__ import annotations

from math import prod

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.geometry_arguments import convolution2d_argument
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, striding_grid
from gpunn.backend.cuda.shared.shapes import require_shapes
from gpunn.geometry import Conv2dGeometry, Shape

_FILE = "locally_connected2d.cu"
#: As in the kernels: images that share the read of a weight, and warps of a block.
_IMAGES = 8
_WARPS_PER_BLOCK = STRIDING_BLOCK // 32


def locally_connected2d_forward(
    device: CudaDevice, y: Array, x: Array, w: Array, bias: Array | None, geometry: Conv2dGeometry
) -> None:
    """As convolution2d_forward with w (P, Q, R, S, C, K) and bias (P, Q, K); one group.

    Raises:
        UsageError: for arrays that do not fit the geometry.
    """
    g = geometry
    require_shapes(
        "locally_connected2d_forward",
        y=(y, g.output_shape),
        x=(x, g.input_shape),
        w=(w, _filter_shape(g)),
        bias=(bias, (g.P, g.Q, g.K)),
    )
    device.launcher.launch(
        _FILE,
        "locally_connected2d_forward",
        striding_grid(-(-g.N // _IMAGES) * g.P * g.Q * g.K),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "x": x,
            "x_pitch": channel_pitch(x),
            "w": w,
            "bias": bias,
            "geometry": convolution2d_argument(g),
        },
    )


def locally_connected2d_backward_data(
    device: CudaDevice, gx: Array, gy: Array, w: Array, geometry: Conv2dGeometry, accumulate: bool
) -> None:
    """gx = the transpose applied to gy.

    Raises:
        UsageError: for arrays that do not fit the geometry.
    """
    g = geometry
    require_shapes(
        "locally_connected2d_backward_data", gx=(gx, g.input_shape), gy=(gy, g.output_shape), w=(w, _filter_shape(g))
    )
    device.launcher.launch(
        _FILE,
        "locally_connected2d_backward_data",
        striding_grid(-(-g.N // _IMAGES) * g.H * g.W * g.C, _WARPS_PER_BLOCK),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "w": w,
            "geometry": convolution2d_argument(g),
            "accumulate": accumulate,
        },
    )


def locally_connected2d_backward_filter(
    device: CudaDevice, gw: Array, gbias: Array | None, x: Array, gy: Array, geometry: Conv2dGeometry, accumulate: bool
) -> None:
    """gw[p,q,r,s,c,k] = sum over n of the product of input and gy; gbias[p,q,k] = sum over n of gy.

    Raises:
        UsageError: for arrays that do not fit the geometry.
    """
    g = geometry
    require_shapes(
        "locally_connected2d_backward_filter",
        gw=(gw, _filter_shape(g)),
        gbias=(gbias, (g.P, g.Q, g.K)),
        x=(x, g.input_shape),
        gy=(gy, g.output_shape),
    )
    device.launcher.launch(
        _FILE,
        "locally_connected2d_backward_filter",
        striding_grid(prod(_filter_shape(g))),
        {
            "gw": gw,
            "gbias": gbias,
            "x": x,
            "x_pitch": channel_pitch(x),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "geometry": convolution2d_argument(g),
            "accumulate": accumulate,
        },
    )


def _filter_shape(g: Conv2dGeometry) -> Shape:
    return (g.P, g.Q, g.R, g.S, g.C, g.K)
