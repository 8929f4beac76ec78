"""Dropout on CUDA, with the masks that the CPU draws."""

from __future__ import annotations

from math import prod

from gpunn.backend.attributes import Dropout
from gpunn.backend.contract import Array
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import striding_grid
from gpunn.backend.cuda.shared.vectors import walk_over, wide_choice

#: Elements that one block of random numbers serves: NUMBERS_PER_BLOCK of kernels/dropout.cu.
NUMBERS_PER_BLOCK = 8


def dropout_forward(
    device: CudaDevice, y: Array, mask: Array, x: Array, step: Array, first_image: Array, settings: Dropout
) -> None:
    """y = kept_factor * x where kept, else 0; `mask` (uint8) is 1 where kept; y may be x.

    Raises:
        UsageError: for shapes that differ, or number types that are not those of the contract.
    """
    walk = walk_over(device, "dropout_forward", y=y, mask=mask, x=x)
    image = prod(x.shape[1:])
    # Blocks are counted through the whole batch: where it is cut, the cut must not go through a vector.
    wide = walk.vector > 1 and image % walk.vector == 0
    device.launcher.launch(
        "dropout.cu",
        "dropout_forward",
        striding_grid(1 + x.size // NUMBERS_PER_BLOCK),
        {
            "y": y,
            "mask": mask,
            "x": x,
            "step": step,
            "first_image": first_image,
            "image_elements": image,
            **walk.arguments,
            "seed": settings.seed,
            "layer": settings.layer,
            "threshold": settings.threshold,
            "kept_factor": settings.kept_factor,
        },
        wide_choice(wide),
    )


def dropout_backward(
    device: CudaDevice, gx: Array, gy: Array, mask: Array, settings: Dropout, accumulate: bool
) -> None:
    """gx = kept_factor * gy where kept, else 0; gx may be gy.

    Raises:
        UsageError: for shapes that differ, or number types that are not those of the contract.
    """
    walk = walk_over(device, "dropout_backward", gx=gx, gy=gy, mask=mask)
    device.launcher.launch(
        "dropout.cu",
        "dropout_backward",
        striding_grid(walk.vectors),
        {
            "gx": gx,
            "gy": gy,
            "mask": mask,
            **walk.arguments,
            "kept_factor": settings.kept_factor,
            "accumulate": accumulate,
        },
        walk.choices,
    )
