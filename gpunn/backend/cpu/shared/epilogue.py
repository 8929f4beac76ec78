"""What follows the matrix products of a layer while their result is in cache: the bias and the activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.attributes import Activation
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.cpu.shared.activation_functions import apply_activation

Array = np.ndarray[Any, Any]


def finish(device: CpuDevice, part: Array, bias: Array | None, function: Activation) -> None:
    """part = f(part + bias) in place, on the calling thread; `bias` broadcasts over the leading axes."""
    if bias is not None:
        np.add(part, bias, out=part)
    if function.name != "linear":
        apply_activation(device, part, part, function)
