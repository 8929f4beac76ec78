"""The small arrays that change from step to step: they lie on the device, so that a recorded step can read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpunn.backend.contract import DType
from gpunn.program.call import Buffer

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)

#: The arrays of one element that change from step to step, with their types.
CONTROLS: Mapping[str, DType] = {
    "learning_rate": FLOAT64,
    "loss_scale": FLOAT64,
    "loss_share": FLOAT64,
    "loss_multiplier": FLOAT64,
    "gradient_scale": FLOAT64,
    "gradient_norm": FLOAT64,
    "step": INT64,
    "first_image": INT64,
    "latched_step": INT64,
    "finite_steps": INT64,
    "apply": INT32,
}

#: What record_losses adds up: loss, top-1 hits, top-5 hits, images.
TOTALS = 4


def control(name: str) -> Buffer:
    """The array of that name."""
    return Buffer(name, (1,), CONTROLS[name], "plain", "control")
