"""Loss scaling on CUDA: gradients of a narrow type are kept away from its smallest numbers."""

from __future__ import annotations

import numpy as np

from gpunn.backend.attributes import LARGEST_LOSS_SCALE, LOSS_SCALE_PATIENCE
from gpunn.backend.contract import Array
from gpunn.backend.cuda.chunk_table import THREAD_ELEMENTS, require_flat
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK, Grid, striding_grid


def set_loss_scale(device: CudaDevice, loss_scale: Array, loss_share: Array, loss_multiplier: Array) -> None:
    """loss_scale = loss_share * loss_multiplier."""
    device.launcher.launch(
        "loss_scale.cu",
        "set_loss_scale",
        Grid((1, 1, 1), (1, 1, 1)),
        {"loss_scale": loss_scale, "loss_share": loss_share, "loss_multiplier": loss_multiplier},
    )


def unscale_gradients(
    device: CudaDevice, gradients: Array, loss_multiplier: Array, finite_steps: Array, apply: Array
) -> None:
    """gradients /= loss_multiplier; then the multiplier follows whether they are finite: see the contract.

    Raises:
        UsageError: when the gradients are no flat array.
    """
    require_flat(device.memory, "unscale_gradients", 0, gradients=gradients)
    if gradients.size == 0:
        return
    grid = striding_grid(gradients.size // THREAD_ELEMENTS)
    block_is_finite = device.partials(grid.blocks[0]).view(np.int32)
    device.launcher.launch(
        "loss_scale.cu",
        "unscale_gradients",
        grid,
        {
            "gradients": gradients,
            "block_is_finite": block_is_finite,
            "loss_multiplier": loss_multiplier,
            "apply": apply,
            "elements": gradients.size,
        },
    )
    device.launcher.launch(
        "loss_scale.cu",
        "follow_gradients",
        Grid((1, 1, 1), (STRIDING_BLOCK, 1, 1)),
        {
            "loss_multiplier": loss_multiplier,
            "finite_steps": finite_steps,
            "apply": apply,
            "block_is_finite": block_is_finite,
            "blocks": grid.blocks[0],
            "patience": LOSS_SCALE_PATIENCE,
            "largest": LARGEST_LOSS_SCALE,
        },
    )
