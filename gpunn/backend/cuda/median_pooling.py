"""Pooling over windows by the median, on CUDA."""

from __future__ import annotations

from gpunn.backend.contract import Array, DType, Memory
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.geometry_arguments import pool2d_argument
from gpunn.backend.cuda.pooling import pixel_grid
from gpunn.backend.cuda.shared.shapes import require_shapes
from gpunn.geometry import Pool2dGeometry


def median_pool2d_forward(device: CudaDevice, y: Array, x: Array, geometry: Pool2dGeometry, workspace: Memory) -> None:
    """y (N, P, Q, C): the median over the pixels of each window of x (N, H, W, C) that lie in the image.

    Of an even number of pixels it is the mean of the two middle values; a window that holds NaN gives NaN.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes("median_pool2d_forward", y=(y, geometry.output_shape), x=(x, geometry.input_shape))
    device.launcher.launch(
        "median_pool2d.cu",
        "median_pool2d_forward",
        pixel_grid(geometry.output_shape, 1),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "x": x,
            "x_pitch": channel_pitch(x),
            "geometry": pool2d_argument(geometry),
        },
    )


def median_pool2d_forward_workspace(device: CudaDevice, geometry: Pool2dGeometry, dtype: DType) -> int:
    """Bytes of scratch: none, values are counted where they lie."""
    return 0


def median_pool2d_backward(
    device: CudaDevice, gx: Array, gy: Array, x: Array, geometry: Pool2dGeometry, accumulate: bool, workspace: Memory
) -> None:
    """gx (N, H, W, C): half of gy (N, P, Q, C) goes to each of the two middle pixels, found anew from x.

    Of equal pixels the first in the order (r, s) takes the half, so where both middle values are the same, or the
    number of pixels is odd, one pixel takes all.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes(
        "median_pool2d_backward",
        gx=(gx, geometry.input_shape),
        gy=(gy, geometry.output_shape),
        x=(x, geometry.input_shape),
    )
    device.launcher.launch(
        "median_pool2d.cu",
        "median_pool2d_backward",
        pixel_grid(geometry.input_shape, 1),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "x": x,
            "x_pitch": channel_pitch(x),
            "geometry": pool2d_argument(geometry),
            "accumulate": accumulate,
        },
    )


def median_pool2d_backward_workspace(device: CudaDevice, geometry: Pool2dGeometry, dtype: DType) -> int:
    """Bytes of scratch: none, each pixel finds out by itself which windows it is the median of."""
    return 0
