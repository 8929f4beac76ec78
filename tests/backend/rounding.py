"""What a number type loses: the units in which the bounds of tests are written."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32


def computing(dtype: Any) -> float:
    """The distance from 1 to the next number of the type in which arrays of `dtype` are computed."""
    kind = np.dtype(dtype)
    return float(np.finfo(FLOAT32 if kind in (BFLOAT16, FLOAT16) else kind).eps)


def rounding(dtype: Any) -> float:
    """The largest relative error of storing what was computed: 0 where both types are the same."""
    kind = np.dtype(dtype)
    return float(ml_dtypes.finfo(kind).eps) / 2 if kind in (BFLOAT16, FLOAT16) else 0.0


def smallest_step(dtype: Any) -> float:
    """The distance between the smallest numbers of the type, where no relative bound holds."""
    return float(ml_dtypes.finfo(np.dtype(dtype)).smallest_subnormal)
