"""Dividing samples into training and validation so that every class is divided in the same proportion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.errors import UsageError
from gpunn.random import Stream, generator


def stratified_split(
    labels: npt.NDArray[np.int32], fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The indices of training and validation samples, each in ascending order.

    Of a class with n samples, round(n * fraction) go to validation, but at least one and at most n - 1, so that a
    class with a single sample is only trained on.

    Args:
        labels: (N,), the class of each sample.
        fraction: the part that validation gets, between 0 and 1.
        seed: the same seed divides the same samples in the same way.

    Raises:
        UsageError: `fraction` is not between 0 and 1.
    """
    if not 0.0 < fraction < 1.0:
        raise UsageError(f"the validation fraction must lie between 0 and 1, got {fraction}")
    held_out = np.zeros(len(labels), dtype=bool)
    by_class = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[by_class], return_index=True)
    for label, first, last in zip(present, starts, np.append(starts, len(labels))[1:], strict=True):
        members = by_class[first:last]
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        order = generator(seed, Stream.SPLIT, first=int(label)).permutation(len(members))
        held_out[members[order[:count]]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
