"""In which order an epoch shows the samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import Dataset, EncodedDataset
from gpunn.random import Stream, generator

MIXED_SHARDS = 8
"""Shards whose samples are mixed with each other: so many are read side by side, each from its start to its end."""


def epoch_order(dataset: Dataset, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """A permutation of the samples that depends on nothing but the data set, the seed and the epoch.

    Samples that lie in shards come shard by shard, `MIXED_SHARDS` of them mixed at a time, and in the shard's own
    order: what is read is sequential, and neighbours in an epoch are not neighbours in the next.
    """
    draw = generator(seed, Stream.SHUFFLE, second=epoch)
    shards = dataset.shards if isinstance(dataset, EncodedDataset) else None
    if shards is None:
        return draw.permutation(len(dataset)).astype(np.int64)
    # The samples of each shard in their order, all shards in one array.
    members = np.argsort(shards, kind="stable")
    counts = np.bincount(shards)
    starts = np.cumsum(counts) - counts
    order = np.empty(len(dataset), np.int64)
    filled = 0
    chosen = draw.permutation(len(counts))
    for first in range(0, len(chosen), MIXED_SHARDS):
        group = chosen[first : first + MIXED_SHARDS]
        turns = draw.permutation(np.repeat(group, counts[group]))
        part = order[filled : filled + len(turns)]
        for shard in group:
            part[turns == shard] = members[starts[shard] : starts[shard] + counts[shard]]
        filled += len(turns)
    return order
