"""What the loader asks of a data set, and a data set divided into training and validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.errors import DataError


class DataWarning(UserWarning):
    """Something in a data set that is passed over, and that its owner should know of."""


class Dataset(Protocol):
    """Labelled pictures that can be read in any order, by several threads at once."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The printable names of the classes, by label."""

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """(N,), each from 0 to len(classes) - 1; all 0 where there are no classes."""

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        """What outputs are compared with besides labels: finite numbers (N, ...) by name; often there are none."""

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        """Height and width that all pictures share, None where they differ; channels, 1 or 3."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        """The pixels of one picture, (H, W, C).

        Raises:
            DataError: the picture cannot be read; the text names it.
        """

    def name(self, index: int) -> str:
        """Printable text by which a person finds the picture."""

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of what the data set holds; equal for a copy in another place or of another date."""


@runtime_checkable
class EncodedDataset(Dataset, Protocol):
    """A data set of image files: a loader's workers read and decode them."""

    @property
    def shards(self) -> npt.NDArray[np.int32] | None:
        """(N,), the archive that holds each sample, where samples of one are read fastest in their order; else None."""

    def read(self, index: int) -> bytes:
        """The image file of one sample, as it is stored.

        Raises:
            DataError: it cannot be read; the text need not name it.
        """


@dataclass(frozen=True)
class Split:
    """Data to learn from and data to measure on; both name the same classes in the same order.

    Attributes:
        train: the half to learn from.
        validation: the half to measure on.
        description: a line for people.
        augmentation: what pictures of this kind may be put through without changing their class; None: unknown.
        resized: the pictures had several sizes and were brought to one; networks treat them as if they had not been.

    Raises:
        DataError: a half is empty, the classes differ, or there is only one class to learn. Data without classes
            are not labelled: they have targets.
    """

    train: Dataset
    validation: Dataset
    description: str
    augmentation: Augmentation | None = None
    resized: bool = False

    def __post_init__(self) -> None:
        for half, dataset in (("training", self.train), ("validation", self.validation)):
            if len(dataset) == 0:
                raise DataError(f"{self.description}: there are no {half} images")
        check_same_classes(self.train.classes, self.validation.classes, self.description)
        learnt = np.unique(self.train.labels)
        if self.train.classes and learnt.size < 2:
            only = self.train.classes[int(learnt[0])]
            raise DataError(
                f"{self.description}: all training images belong to one class, '{only}'; "
                "training needs images of at least two classes"
            )


def compare_classes(first: Iterable[str], second: Iterable[str], owners: tuple[str, str]) -> str | None:
    """How two lists of classes differ, in words, or None when they are the same in the same order.

    Args:
        first: class names.
        second: class names.
        owners: what each list is of, such as ("training", "validation").
    """
    first, second = tuple(first), tuple(second)
    if first == second:
        return None
    alone = ([name for name in first if name not in set(second)], [name for name in second if name not in set(first)])
    differences = [
        f"only in {owner}: {', '.join(map(repr, names))}" for owner, names in zip(owners, alone, strict=True) if names
    ]
    return "; ".join(differences) or "their order is not the same"


def check_same_classes(train: Iterable[str], validation: Iterable[str], source: str) -> None:
    """Raises DataError with the difference unless both name the same classes in the same order."""
    difference = compare_classes(train, validation, ("training", "validation"))
    if difference is not None:
        raise DataError(f"{source}: the classes of training and validation differ; {difference}")


def content_hash(parts: Iterable[bytes | memoryview]) -> str:
    """SHA-256 over the parts, each preceded by its length so that no two sequences of parts hash alike by design."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
