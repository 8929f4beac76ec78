"""What a source holds, and how training and measuring take their parts of it."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Dataset, Split
from gpunn.data.names import counted
from gpunn.data.selection import select
from gpunn.data.stratify import stratified_split
from gpunn.errors import DataError


@dataclass(frozen=True)
class Splitting:
    """How a source is split that has no split of its own.

    Attributes:
        seed: the same seed divides the same samples in the same way.
        validation_fraction: the part that is held out.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.
    """

    seed: int
    validation_fraction: float = 0.2
    keep_empty_classes: bool = False


@dataclass(frozen=True)
class Halves:
    """The samples of a source, as the source divides them.

    Attributes:
        source: what it is, for messages.
        train: samples that the source calls training samples.
        validation: samples that it calls validation or test samples.
        undivided: samples of a source that says nothing of the kind; then there are no others.
        augmentation: as `Split.augmentation`.
    """

    source: str
    train: Dataset | None = None
    validation: Dataset | None = None
    undivided: Dataset | None = None
    augmentation: Augmentation | None = None

    def split(self, splitting: Splitting) -> Split:
        """Both halves; where there is no validation half, part of the others is held out by `splitting`.

        Raises:
            DataError: there are validation samples only, or as `Split`.
            UsageError: the fraction of `splitting` is not between 0 and 1.
        """
        train, validation = self.train, self.validation
        if train is None:
            train = self.undivided
        if train is None:
            raise DataError(f"{self.source} holds validation images and no training images; give a source of both")
        how = "as it divides them"
        of_what = "" if self.train is None else " of its training images"
        if validation is None:
            parts = stratified_split(train.labels, splitting.validation_fraction, splitting.seed)
            train, validation = (select(train, part) for part in parts)
            how = f"{splitting.validation_fraction:.0%}{of_what} held out by seed {splitting.seed}"
        return Split(
            train,
            validation,
            f"{self.source}: {len(train)} training and {len(validation)} validation images of "
            f"{counted(len(train.classes), 'class', 'classes')}, {how}",
            self.augmentation,
        )

    def for_measuring(self) -> Dataset:
        """The validation half, or everything that is not divided.

        Raises:
            DataError: there are training samples only.
        """
        measured = self.undivided if self.validation is None else self.validation
        if measured is None:
            raise DataError(
                f"{self.source} holds training images and no validation images; give the images to measure on"
            )
        return measured
