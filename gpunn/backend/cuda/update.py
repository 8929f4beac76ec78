"""What surrounds an optimiser step on CUDA: is it finite, how long is its gradient, and does it count."""

from __future__ import annotations

import numpy as np

from gpunn.arena import SegmentTable
from gpunn.backend.contract import Array
from gpunn.backend.cuda.chunk_table import require_flat
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.arguments import rows_of
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, Grid, striding_grid
from gpunn.errors import UsageError

_ONE_THREAD = Grid((1, 1, 1), (1, 1, 1))
_ONE_BLOCK = Grid((1, 1, 1), (STRIDING_BLOCK, 1, 1))


def finite_check(device: CudaDevice, apply: Array, latched_step: Array, values: Array, step: Array) -> None:
    """Clear `apply` when a value is not finite, and keep the first such step in `latched_step` (-1: none).

    Raises:
        UsageError: for values that lie in an order which kernels do not read.
    """
    if values.size == 0:
        return
    rows = rows_of(values)
    if rows is None:
        raise UsageError(f"finite_check: values of shape {values.shape} have strides {values.strides}; want rows")
    device.launcher.launch(
        "finite_check.cu",
        "finite_check",
        striding_grid(values.size),
        {
            "apply": apply,
            "latched_step": latched_step,
            "values": values,
            "values_pitch": rows.pitch,
            "rows": rows.count,
            "channels": rows.length,
            "step": step,
        },
    )


def clip_global_norm(
    device: CudaDevice, norm: Array, gradient_scale: Array, gradients: Array, segments: SegmentTable, maximum: float
) -> None:
    """norm = the root of the sum of squares of all trainable gradients; gradient_scale = min(1, maximum / norm).

    Summed in float64. It does not mend gradients that are not finite: finite_check is what voids such a step.

    Raises:
        UsageError: when the gradients are no flat array of these segments.
    """
    table = device.chunk_tables.trainable(segments)
    require_flat(device.memory, "clip_global_norm", table.stop, gradients=gradients)
    grid = table.summing_grid
    partials = doubles(device, grid.blocks[0])
    device.launcher.launch(
        "clip_global_norm.cu",
        "sum_squares",
        grid,
        {"partials": partials, "gradients": gradients, "chunk_number": table.chunk_number, "chunks": table.chunks},
    )
    device.launcher.launch(
        "clip_global_norm.cu",
        "finish_norm",
        _ONE_BLOCK,
        {
            "norm": norm,
            "gradient_scale": gradient_scale,
            "partials": partials,
            "count": grid.blocks[0],
            "maximum": maximum,
        },
    )


def commit_statistics(device: CudaDevice, statistics: Array, pending: Array, apply: Array) -> None:
    """statistics = pending, or the reverse when the step is void.

    Raises:
        UsageError: when they differ in size.
    """
    if statistics.size != pending.size:
        raise UsageError(
            f"commit_statistics: statistics has {statistics.size} elements, pending {pending.size}; want as many"
        )
    if statistics.size == 0:
        return
    device.launcher.launch(
        "commit_statistics.cu",
        "commit_statistics",
        striding_grid(statistics.size),
        {"statistics": statistics, "pending": pending, "apply": apply, "elements": statistics.size},
    )


def advance(device: CudaDevice, step: Array, apply: Array, latched_step: Array) -> None:
    """step += 1 and apply = 1, as long as latched_step is -1."""
    device.launcher.launch(
        "advance.cu", "advance", _ONE_THREAD, {"step": step, "apply": apply, "latched_step": latched_step}
    )


def doubles(device: CudaDevice, count: int) -> Array:
    """The scratch for partial sums as `count` float64."""
    return device.partials(2 * count).view(np.float64)
