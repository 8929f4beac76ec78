"""Softmax over the classes of each row on CUDA."""

from __future__ import annotations

from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.cuda.shared.row_blocks import row_grid
from gpunn.errors import UsageError


def softmax_forward(device: CudaDevice, y: Array, x: Array) -> None:
    """y = exp(x - largest) / sum of exp(x - largest), row by row; y may be x.

    Raises:
        UsageError: for arrays that are not (N, K) each, or whose number types differ.
    """
    N, K = _batch("softmax_forward", y=y, x=x)
    device.launcher.launch(
        "softmax.cu",
        "softmax_forward",
        row_grid(N, K),
        {"y": y, "y_pitch": channel_pitch(y), "x": x, "x_pitch": channel_pitch(x), "classes": K},
    )


def softmax_backward(device: CudaDevice, gx: Array, gy: Array, y: Array, accumulate: bool) -> None:
    """gx = y (gy - sum of gy y over the row); gx may be gy.

    Raises:
        UsageError: for arrays that are not (N, K) each, or whose number types differ.
    """
    N, K = _batch("softmax_backward", gx=gx, gy=gy, y=y)
    device.launcher.launch(
        "softmax.cu",
        "softmax_backward",
        row_grid(N, K),
        {
            "gx": gx,
            "gx_pitch": channel_pitch(gx),
            "gy": gy,
            "gy_pitch": channel_pitch(gy),
            "y": y,
            "y_pitch": channel_pitch(y),
            "classes": K,
            "accumulate": accumulate,
        },
    )


def _batch(primitive: str, **arrays: Array) -> tuple[int, int]:
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UsageError(f"{primitive}: the arrays must all be (N, K), got {found}")
    N, K = shapes.pop()
    return N, K
