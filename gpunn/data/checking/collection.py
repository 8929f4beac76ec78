"""What a check looks at: the parts of a data set, also of one that training would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gpunn.data.checking.keys import sample_key
from gpunn.data.dataset import Dataset


@dataclass(frozen=True)
class Half:
    """Part of a data set.

    Attributes:
        name: "train" or "validation"; empty for a data set that is not divided.
        dataset: its pictures.
        folder: where they lie in the data set, such as "train/"; empty where their keys tell it.
    """

    name: str
    dataset: Dataset
    folder: str = ""

    def key(self, index: int) -> str:
        """What a quarantine calls a picture."""
        return self.folder + sample_key(self.dataset, self.name, index)

    def class_counts(self) -> npt.NDArray[np.int64]:
        """(classes,), pictures of each class, bad ones as well."""
        return np.bincount(self.dataset.labels, minlength=len(self.dataset.classes)).astype(np.int64)


@dataclass(frozen=True)
class Collection:
    """A data set that is to be checked.

    Attributes:
        halves: its parts that can be read.
        faults: why training would refuse it, by the folder or the file that is to blame, relative to the data set.
        warnings: what is passed over.
    """

    halves: tuple[Half, ...]
    faults: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(len(half.dataset) for half in self.halves)
