"""Penalties on the size of weights on CUDA: L1, L2 and every other power."""

from __future__ import annotations

from gpunn.arena import SegmentTable
from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Array
from gpunn.backend.cuda.chunk_table import require_flat
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, Grid
from gpunn.backend.cuda.update import doubles


def penalty_value(
    device: CudaDevice, value: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
) -> None:
    """value = strength / p * sum |w|^p over the segments with decay, summed in float64.

    Raises:
        UsageError: when the parameters are no flat array of these segments.
    """
    table = device.chunk_tables.decaying(segments)
    require_flat(device.memory, "penalty_value", table.stop, parameters=parameters)
    grid = table.summing_grid
    partials = doubles(device, grid.blocks[0])
    device.launcher.launch(
        "penalty.cu",
        "sum_powers",
        grid,
        {
            "partials": partials,
            "parameters": parameters,
            "chunk_number": table.chunk_number,
            "chunk_length": table.chunk_length,
            "chunks": table.chunks,
            "p": penalty.p,
        },
    )
    device.launcher.launch(
        "penalty.cu",
        "finish_penalty",
        Grid((1, 1, 1), (STRIDING_BLOCK, 1, 1)),
        {"value": value, "partials": partials, "count": grid.blocks[0], "factor": penalty.strength / penalty.p},
    )


def penalty_gradient(
    device: CudaDevice, gradients: Array, parameters: Array, segments: SegmentTable, penalty: Penalty
) -> None:
    """gradients += strength * |w|^(p-1) * sign(w) over the segments with decay; a weight of 0 adds 0 for every p.

    Raises:
        UsageError: when the arrays are no flat arrays of these segments.
    """
    table = device.chunk_tables.decaying(segments)
    require_flat(device.memory, "penalty_gradient", table.stop, gradients=gradients, parameters=parameters)
    if table.chunks == 0:
        return
    device.launcher.launch(
        "penalty.cu",
        "penalty_gradient",
        table.grid,
        {
            "gradients": gradients,
            "parameters": parameters,
            "chunk_number": table.chunk_number,
            "chunk_length": table.chunk_length,
            "chunks": table.chunks,
            "strength": penalty.strength,
            "p": penalty.p,
        },
    )
