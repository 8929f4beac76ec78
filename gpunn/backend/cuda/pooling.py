"""Pooling over windows by maximum and mean, and the mean over a whole image, on CUDA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.launching.geometry_arguments import pool2d_argument
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import Choices
from gpunn.backend.cuda.shared.shapes import require_shapes
from gpunn.backend.cuda.shared.vectors import vector_length, wide_choice
from gpunn.errors import UsageError
from gpunn.geometry import Pool2dGeometry, Shape

#: Places of a window that a byte can name.
_PLACES_OF_A_BYTE = 256
#: Threads of a block, and how many of them at most lie side by side over the channels.
_BLOCK_THREADS = 256
_CHANNEL_THREADS = 64
#: The block of global_mean_pool2d_forward, as in kernels/global_mean_pool2d.cu.
_TILE_CHANNELS = 32
_TILE_WARPS = 8


def maximum_pool2d_forward(
    device: CudaDevice, y: Array, argmax: Array | None, x: Array, geometry: Pool2dGeometry
) -> None:
    """The largest of each window, and in `argmax` its place r * S + s, the first one on a tie.

    A window that holds NaN gives NaN; its place is then the last in the image.

    Args:
        device: the GPU, or the emulator.
        y: (N, P, Q, C).
        argmax: (N, P, Q, C), uint8 for windows of up to 256 places, else int32; None when no backward pass follows.
        x: (N, H, W, C).
        geometry: windows, stride and padding.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes("maximum_pool2d_forward", y=(y, geometry.output_shape), x=(x, geometry.input_shape))
    if argmax is not None:
        _require_places("maximum_pool2d_forward", argmax, geometry)
    variant = _maximum_variant(geometry, _common_vector(device, geometry, y, x))
    device.launcher.launch(
        f"{variant.family}.cu",
        f"{variant.family}_forward{variant.suffix}",
        pixel_grid(geometry.output_shape, variant.vector),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "argmax": argmax,
            "x": x,
            "x_pitch": channel_pitch(x),
            "geometry": pool2d_argument(geometry),
        },
        variant.choices,
    )


def maximum_pool2d_backward(
    device: CudaDevice, gx: Array, gy: Array, argmax: Array, geometry: Pool2dGeometry, accumulate: bool
) -> None:
    """gx (N, H, W, C): each element of gy (N, P, Q, C) goes to the place that `argmax` names.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes("maximum_pool2d_backward", gx=(gx, geometry.input_shape), gy=(gy, geometry.output_shape))
    _require_places("maximum_pool2d_backward", argmax, geometry)
    variant = _maximum_variant(geometry, _common_vector(device, geometry, gx, gy))
    N, H, W, C = geometry.input_shape
    cells = (N, -(-H // variant.cell), -(-W // variant.cell), C)
    device.launcher.launch(
        f"{variant.family}.cu",
        f"{variant.family}_backward{variant.suffix}",
        pixel_grid(cells, variant.vector),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "argmax": argmax,
            "geometry": pool2d_argument(geometry),
            "accumulate": accumulate,
        },
        variant.choices,
    )


def mean_pool2d_forward(device: CudaDevice, y: Array, x: Array, geometry: Pool2dGeometry) -> None:
    """y (N, P, Q, C): the mean over the pixels of each window of x (N, H, W, C) that lie in the image.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes("mean_pool2d_forward", y=(y, geometry.output_shape), x=(x, geometry.input_shape))
    vector = _common_vector(device, geometry, y, x)
    device.launcher.launch(
        "mean_pool2d.cu",
        "mean_pool2d_forward",
        pixel_grid(geometry.output_shape, vector),
        {
            "y": y,
            "y_pitch": channel_pitch(y),
            "x": x,
            "x_pitch": channel_pitch(x),
            "geometry": pool2d_argument(geometry),
        },
        wide_choice(vector > 1),
    )


def mean_pool2d_backward(device: CudaDevice, gx: Array, gy: Array, geometry: Pool2dGeometry, accumulate: bool) -> None:
    """gx (N, H, W, C): gy (N, P, Q, C) divided by the number of pixels of its window, to each of them.

    Raises:
        UsageError: for arrays that do not fit the geometry, or number types that differ.
    """
    require_shapes("mean_pool2d_backward", gx=(gx, geometry.input_shape), gy=(gy, geometry.output_shape))
    vector = _common_vector(device, geometry, gx, gy)
    device.launcher.launch(
        "mean_pool2d.cu",
        "mean_pool2d_backward",
        pixel_grid(geometry.input_shape, vector),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "geometry": pool2d_argument(geometry),
            "accumulate": accumulate,
        },
        wide_choice(vector > 1),
    )


def global_mean_pool2d_forward(device: CudaDevice, y: Array, x: Array) -> None:
    """y (N, C) = the mean of x (N, H, W, C) over all rows and columns.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    N, H, W, C = x.shape
    require_shapes("global_mean_pool2d_forward", y=(y, (N, C)))
    device.launcher.launch(
        "global_mean_pool2d.cu",
        "global_mean_pool2d_forward",
        Grid((N, -(-C // _TILE_CHANNELS), 1), (_TILE_CHANNELS, _TILE_WARPS, 1)),
        {"y": y, "x": x, "x_pitch": channel_pitch(x), "pixels": H * W, "channels": C},
        wide_choice(False),
    )


def global_mean_pool2d_backward(device: CudaDevice, gx: Array, gy: Array, accumulate: bool) -> None:
    """gx (N, H, W, C) = gy (N, C) / (H W) at every pixel, or gx += that.

    Raises:
        UsageError: for shapes or number types that do not belong together.
    """
    N, H, W, C = gx.shape
    require_shapes("global_mean_pool2d_backward", gy=(gy, (N, C)))
    vector = vector_length(device, C, (gx, channel_pitch(gx)), (gy, C))
    device.launcher.launch(
        "global_mean_pool2d.cu",
        "global_mean_pool2d_backward",
        pixel_grid(gx.shape, vector),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "images": N,
            "rows": H,
            "columns": W,
            "channels": C,
            "accumulate": accumulate,
        },
        wide_choice(vector > 1),
    )


def pixel_grid(shape: Shape, vector: int) -> Grid:
    """The grid of kernels/pooling.cuh over images of that shape; a thread takes `vector` channels of a pixel."""
    *pixels, channels = shape
    vectors = channels // vector
    tiles = -(-vectors // _CHANNEL_THREADS)
    across = -(-vectors // tiles)
    down = _BLOCK_THREADS // across
    return Grid((-(-int(np.prod(pixels)) // down), tiles, 1), (across, down, 1))


def _common_vector(device: CudaDevice, geometry: Pool2dGeometry, *arrays: Array) -> int:
    return vector_length(device, geometry.C, *((array, channel_pitch(array)) for array in arrays))


def _is_large(geometry: Pool2dGeometry) -> bool:
    return geometry.R * geometry.S > _PLACES_OF_A_BYTE


@dataclass(frozen=True)
class _MaximumVariant:
    """Which kernels compute a maximum pooling, and what a thread of theirs takes.

    Attributes:
        family: the file, and how the names of its kernels begin.
        suffix: how they end.
        vector: channels of a thread.
        cell: rows and columns of gx that a thread of the backward kernel owns.
    """

    family: str
    suffix: str
    vector: int
    cell: int
    choices: Choices


def _maximum_variant(geometry: Pool2dGeometry, vector: int) -> _MaximumVariant:
    """`vector` channels are what the arrays allow a thread to move at once."""
    if vector > 1 and _is_halving(geometry):
        return _MaximumVariant("maximum_pool2d_stride2", "", vector, 2, {"WINDOW": str(geometry.R)})
    if _is_large(geometry):
        return _MaximumVariant("maximum_pool2d", "_large", 1, 1, wide_choice(False))
    return _MaximumVariant("maximum_pool2d", "", vector, 1, wide_choice(vector > 1))


def _is_halving(geometry: Pool2dGeometry) -> bool:
    """What kernels/maximum_pool2d_stride2.cu computes: windows of 2x2 or 3x3 with stride 2, all within the image."""
    window = geometry.R
    is_square = window == geometry.S and window in (2, 3) and geometry.stride == (2, 2)
    starts_inside = geometry.padding.top == 0 and geometry.padding.left == 0
    ends_inside = 2 * geometry.P + window - 2 <= geometry.H and 2 * geometry.Q + window - 2 <= geometry.W
    return is_square and starts_inside and ends_inside


def _require_places(primitive: str, argmax: Array, geometry: Pool2dGeometry) -> None:
    require_shapes(primitive, argmax=(argmax, geometry.output_shape))
    wanted = np.dtype(np.int32 if _is_large(geometry) else np.uint8)
    if argmax.dtype != wanted:
        raise UsageError(
            f"{primitive}: argmax is {argmax.dtype}; a window of {geometry.R}x{geometry.S} places wants {wanted}"
        )
