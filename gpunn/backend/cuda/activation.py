"""Elementwise activations on CUDA: linear and ReLU so far."""

from __future__ import annotations

from gpunn.backend.attributes import Activation
from gpunn.backend.contract import Array
from gpunn.backend.cuda.arguments import Rows, rows_of
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launch import striding_grid
from gpunn.errors import UsageError


def activation_forward(device: CudaDevice, y: Array, x: Array, function: Activation) -> None:
    """y = f(x) for float32; y may be x.

    Raises:
        UsageError: for a function other than linear and relu, or shapes that differ.
    """
    if function.name not in ("linear", "relu"):
        raise UsageError(f"CUDA has no kernel for the activation {function.name!r} yet; use linear or relu, or the CPU")
    _require_shapes("activation_forward", y=y, x=x)
    if function.name == "linear":
        device.memory.copy(y, x)
        return
    rows = _common_rows(y, x)
    device.launcher.launch(
        "relu.cu",
        "relu_forward",
        striding_grid(y.size),
        {
            "y": y,
            "y_pitch": _pitch(y, rows),
            "x": x,
            "x_pitch": _pitch(x, rows),
            "rows": rows.count,
            "channels": rows.length,
        },
    )


def activation_backward(
    device: CudaDevice, gx: Array, gy: Array, saved: Array, function: Activation, accumulate: bool
) -> None:
    """gx = gy where y > 0, else 0, for ReLU and float32; `saved` is y; gx may be gy.

    Raises:
        UsageError: for a function other than relu, or shapes that differ.
    """
    if function.name != "relu":
        raise UsageError(f"CUDA has no backward kernel for the activation {function.name!r} yet; use relu, or the CPU")
    _require_shapes("activation_backward", gx=gx, gy=gy, saved=saved)
    rows = _common_rows(gx, gy, saved)
    device.launcher.launch(
        "relu.cu",
        "relu_backward",
        striding_grid(gx.size),
        {
            "gx": gx,
            "gx_pitch": _pitch(gx, rows),
            "gy": gy,
            "gy_pitch": _pitch(gy, rows),
            "y": saved,
            "y_pitch": _pitch(saved, rows),
            "rows": rows.count,
            "channels": rows.length,
            "accumulate": accumulate,
        },
    )


def _require_shapes(primitive: str, **arrays: Array) -> None:
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UsageError(f"{primitive}: the arrays must have one shape, got {shapes}")


def _common_rows(*arrays: Array) -> Rows:
    """How to walk all arrays at once: as the one that is a slice, if there is one."""
    slices = [rows for rows in map(rows_of, arrays) if rows is not None and rows.count > 1]
    size = arrays[0].size
    return slices[0] if slices else Rows(1, size, size)


def _pitch(array: Array, walk: Rows) -> int:
    rows = rows_of(array)
    return walk.length if rows is None or rows.count == 1 else rows.pitch
