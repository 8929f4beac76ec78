"""What a sample is called in a quarantine: the same text in every run, wherever the data set lies."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gpunn.data.dataset import Dataset
from gpunn.data.selection import Selection


@runtime_checkable
class KeyedDataset(Dataset, Protocol):
    """A data set whose samples have names of their own."""

    def key(self, index: int) -> str:
        """The path of a sample in the folder of the whole data set, such as "train/cat/1.jpg".

        A sample of a shard is SHARD/MEMBER. Bytes that are not UTF-8 are surrogates, as `os.fsdecode` makes them.
        """


def sample_key(dataset: Dataset, half: str, index: int) -> str:
    """The key of a sample.

    Args:
        dataset: one half of a split, or a selection of its samples.
        half: "train" or "validation". A sample of an array is called by it, and by its place in the array: "train/17".
        index: the sample.
    """
    if isinstance(dataset, Selection):
        dataset, index = dataset.origin(index)
    return dataset.key(index) if isinstance(dataset, KeyedDataset) else f"{half}/{index}"
