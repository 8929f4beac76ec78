"""Which number type is stored, multiplied, accumulated, and kept as master weight: one object says it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from gpunn.errors import UsageError


@dataclass(frozen=True)
class Precision:
    """The number types of a program.

    Attributes:
        stored: of activations, their gradients, and the copy of the weights that products take.
        multiplied: what products round their factors to.
        accumulated: of sums, statistics, losses and logits.
        master: of parameters, their gradients and the optimiser's state.
        scales_loss: whether gradients need loss scaling, because the stored type ends at 65504 and begins at 6e-8.
    """

    name: str
    stored: np.dtype[Any]
    multiplied: Multiplied
    accumulated: np.dtype[Any]
    master: np.dtype[Any]
    scales_loss: bool = False


Multiplied = Literal["float32", "float64", "tf32", "bfloat16", "float16"]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

PRECISIONS: dict[str, Precision] = {
    "float32": Precision("float32", _FLOAT32, "float32", _FLOAT32, _FLOAT32),
    "float64": Precision("float64", _FLOAT64, "float64", _FLOAT64, _FLOAT64),
    "tf32": Precision("tf32", _FLOAT32, "tf32", _FLOAT32, _FLOAT32),
    "bfloat16": Precision("bfloat16", np.dtype(ml_dtypes.bfloat16), "bfloat16", _FLOAT32, _FLOAT32),
    "float16": Precision("float16", np.dtype(np.float16), "float16", _FLOAT32, _FLOAT32, True),
}


def precision(name: str) -> Precision:
    """The precision of that name.

    Raises:
        UsageError: when there is none.
    """
    try:
        return PRECISIONS[name]
    except KeyError:
        raise UsageError(f"precision {name!r} is not known; choose one of {', '.join(PRECISIONS)}") from None
