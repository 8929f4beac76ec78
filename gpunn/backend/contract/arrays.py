"""What primitives work on, as far as all backends agree."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

#: An array of the device: numpy.ndarray on the CPU and in the emulator, cupy.ndarray on CUDA.
Array = Any
#: A flat piece of the device's memory, from which arrays are cut.
Memory = Any
DType = np.dtype[Any]
#: "images" may lie in the backend's own order; "plain" arrays lie row by row in their logical order.
Layout = Literal["images", "plain"]


def nothing() -> None:
    """What there is to undo, or to wait for, where `Device.pin` and `Device.upload` leave nothing."""
