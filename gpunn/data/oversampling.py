"""Rare classes shown as often as the largest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import Dataset, Split
from gpunn.data.selection import select


def oversampled(dataset: Dataset) -> Dataset:
    """The samples of a data set, in its order, those of smaller classes several times in a row.

    Every class that has samples comes to as many as the largest has, and no two samples of a class differ by more
    than one in how often they are there. Each repetition has an index, and so an augmentation, of its own.
    """
    return select(dataset, np.repeat(np.arange(len(dataset), dtype=np.int64), _repetitions(dataset.labels)))


def with_oversampling(split: Split) -> Split:
    """The same split, its training half oversampled."""
    train = oversampled(split.train)
    added = len(train) - len(split.train)
    if added == 0:
        return split
    return replace(split, train=train, description=f"{split.description}; {added} repeated, so that classes are even")


def _repetitions(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """How often each sample is there, (N,)."""
    counts = np.bincount(labels)
    # Sample number r of n gets what the line from 0 to the largest count gains between r/n and (r + 1)/n.
    order = np.argsort(labels, kind="stable")
    own = counts[labels[order]]
    number = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[order]]
    largest = counts.max()
    repetitions = np.empty(len(labels), np.int64)
    repetitions[order] = (number + 1) * largest // own - number * largest // own
    return repetitions
