"""What the outputs of a network are compared with besides class labels: named values, some for every image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.errors import DataError

RESERVED_NAMES = ("images", "labels", "placement", "indices")
"""What a batch calls its other arrays."""

SOFT_LABELS = "soft_labels"
"""The target of batches whose pictures may be mixtures: the share of each class, float32 (N, classes)."""


def checked_targets(targets: Mapping[str, npt.ArrayLike], samples: int, source: str) -> dict[str, npt.NDArray[Any]]:
    """The targets as arrays; numbers are not copied.

    Raises:
        DataError: a name is one of a batch's other arrays, there is not one entry for each sample, or a value is not
            a finite number; the text names the first such sample.
    """
    return {name: _checked(name, np.asarray(values), samples, source) for name, values in targets.items()}


def _checked(name: str, values: npt.NDArray[Any], samples: int, source: str) -> npt.NDArray[Any]:
    if name in (*RESERVED_NAMES, SOFT_LABELS):
        raise DataError(f"{source}: a batch has an array {name!r} of its own; give the targets another name")
    if values.ndim == 0 or len(values) != samples:
        raise DataError(f"{source}: {samples} images need {samples} targets {name!r}, got shape {values.shape}")
    if values.dtype.kind not in "biuf":
        raise DataError(f"{source}: the targets {name!r} are {values.dtype}; give numbers")
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
        if wrong.size:
            others = f" (and {wrong.size - 1} more samples)" if wrong.size > 1 else ""
            raise DataError(f"{source}: the target {name!r} of sample {wrong[0]} is not finite{others}; repair it")
    return values
