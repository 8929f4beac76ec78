"""Which number type is stored, multiplied, accumulated, and kept as master weight: one object says it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from gpunn.errors import UsageError


@dataclass(frozen=True)
class Precision:
    """The number types of a program; statistics, losses and logits are never narrower than `accumulated`."""

    name: str
    stored: np.dtype[Any]
    multiplied: str
    accumulated: np.dtype[Any]
    master: np.dtype[Any]


_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

PRECISIONS: dict[str, Precision] = {
    "float32": Precision("float32", _FLOAT32, "float32", _FLOAT32, _FLOAT32),
    "float64": Precision("float64", _FLOAT64, "float64", _FLOAT64, _FLOAT64),
    "tf32": Precision("tf32", _FLOAT32, "tf32", _FLOAT32, _FLOAT32),
    "bfloat16": Precision("bfloat16", np.dtype(ml_dtypes.bfloat16), "bfloat16", _FLOAT32, _FLOAT32),
    "float16": Precision("float16", np.dtype(np.float16), "float16", _FLOAT32, _FLOAT32),
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
