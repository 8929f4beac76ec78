"""Some samples of a data set, in any order, each as often as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import Dataset, EncodedDataset, content_hash


def select(dataset: Dataset, indices: npt.NDArray[np.int64]) -> Dataset:
    """The samples of these indices, in this order, with the same classes; image files stay image files."""
    if isinstance(dataset, EncodedDataset):
        return EncodedSelection(dataset, indices)
    return Selection(dataset, indices)


class Selection:
    """Samples of another data set.

    Args:
        dataset: the other.
        indices: its samples, any number of times each.
    """

    def __init__(self, dataset: Dataset, indices: npt.NDArray[np.int64]) -> None:
        self._dataset = dataset
        self._indices = indices
        self._labels = dataset.labels[indices]
        self._targets = {name: values[indices] for name, values in dataset.targets.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._dataset.classes

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return self._labels

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return self._targets

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return self._dataset.picture_shape

    def __len__(self) -> int:
        return len(self._indices)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        return self._dataset.load(int(self._indices[index]))

    def name(self, index: int) -> str:
        return self._dataset.name(int(self._indices[index]))

    def origin(self, index: int) -> tuple[Dataset, int]:
        """The data set that a sample was selected from, and its index there, through selections of selections."""
        place = int(self._indices[index])
        return self._dataset.origin(place) if isinstance(self._dataset, Selection) else (self._dataset, place)

    def fingerprint(self) -> str:
        """SHA-256 over the other's fingerprint and the indices."""
        return content_hash([self._dataset.fingerprint().encode("ascii"), self._indices.astype("<i8").tobytes()])


class EncodedSelection(Selection):
    """Samples of a data set of image files."""

    def __init__(self, dataset: EncodedDataset, indices: npt.NDArray[np.int64]) -> None:
        super().__init__(dataset, indices)
        self._encoded = dataset

    @property
    def shards(self) -> npt.NDArray[np.int32] | None:
        shards = self._encoded.shards
        return None if shards is None else shards[self._indices]

    def read(self, index: int) -> bytes:
        return self._encoded.read(int(self._indices[index]))
