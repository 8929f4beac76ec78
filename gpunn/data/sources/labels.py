"""Labels that fit their samples and their classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.errors import DataError


def checked_labels(labels: npt.NDArray[Any], samples: int, classes: int, source: str) -> npt.NDArray[np.int32]:
    """The labels as a read-only int32 array.

    Raises:
        DataError: there is not one label for each sample, or a label is not a whole number from 0 to classes - 1;
            the text names the first such sample.
    """
    if labels.shape != (samples,):
        raise DataError(f"{source}: {samples} images need labels of shape ({samples},), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        fractional = labels != np.floor(labels) if labels.dtype.kind == "f" else np.zeros(samples, dtype=bool)
        sample = int(np.argmax(fractional)) if samples else 0
        shown = f" (sample {sample} has label {labels[sample]})" if samples else ""
        raise DataError(f"{source}: labels must be integers, got {labels.dtype}{shown}")
    check_range(labels, classes, lambda sample: f"{source}: sample {sample}")
    checked = labels.astype(np.int32)
    checked.flags.writeable = False
    return checked


def check_range(labels: npt.NDArray[np.integer[Any]], classes: int, name: Callable[[int], str]) -> None:
    """Refuses labels that have no class.

    Args:
        labels: (N,).
        classes: how many there are.
        name: what to call a sample.

    Raises:
        DataError: a label is not from 0 to classes - 1; the text names the first such sample.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        sample = int(wrong[0])
        others = f" (and {wrong.size - 1} more samples)" if wrong.size > 1 else ""
        raise DataError(
            f"{name(sample)} has label {labels[sample]}{others}; labels of {classes} classes go from 0 to {classes - 1}"
        )
