"""What a run gets wrong among labelled images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.data.adaptation import check_adaptable
from gpunn.data.dataset import Dataset
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.readable import readable
from gpunn.training.evaluation import loader_of, open_measured
from gpunn.training.learner import Learner
from gpunn.training.trained_run import TrainedRun
from gpunn.visualization.colours import Pixels, picture_colours


@dataclass(frozen=True)
class Mistake:
    """An image whose class is not the most likely one.

    Attributes:
        index: its place in the data set.
        label: its class.
        predicted: the class that the network finds most likely.
        probability: that the network gives to `predicted`, 0 to 1.
        loss: cross-entropy, minus the logarithm of the probability of `label`.
    """

    index: int
    label: int
    predicted: int
    probability: float
    loss: float


@dataclass(frozen=True)
class Examination:
    """How a run did.

    Attributes:
        mistakes: all of them, the largest loss first.
        pictures: of the first mistakes, as the network sees them, (H, W, 3).
        confusion: (classes, classes), how many images of a class (row) were taken for which (column).
    """

    mistakes: tuple[Mistake, ...]
    pictures: tuple[Pixels, ...]
    confusion: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def images(self) -> int:
        """That could be read."""
        return int(self.confusion.sum())

    @property
    def wrong(self) -> int:
        """Images whose class was not the most likely one."""
        return self.images - int(np.trace(self.confusion))


def examine_run(trained: TrainedRun, run: Path, data: str | None, count: int) -> tuple[Examination, Dataset]:
    """Look at the validation images of a run, or at others.

    Args:
        trained: the run.
        run: where it lies.
        data: other images; None takes the validation half of the run's own.
        count: of how many mistakes to keep the pictures.

    Raises:
        DataError: when the images cannot be read, or their classes are not those of the run.
    """
    dataset = open_measured(trained, run, data)
    preprocessing = trained.preprocessing
    check_adaptable(dataset.picture_shape, (preprocessing.height, preprocessing.width, preprocessing.channels))
    with closing(loader_of(trained, dataset, preprocessing)) as loader:
        return examine(trained.learner, readable(loader.batches(0)), len(trained.classes), count), dataset


def examine(learner: Learner, batches: Iterable[Batch], classes: int, count: int) -> Examination:
    """Count hits and misses, and keep the mistakes; of the worst, their pictures, too.

    Args:
        learner: the network.
        batches: the images and labels.
        classes: how many.
        count: of how many mistakes to keep the pictures; of equal losses, those that come first.
    """
    confusion = np.zeros((classes, classes), np.int64)
    mistakes: list[Mistake] = []
    worst: list[tuple[Mistake, Pixels]] = []
    for batch in batches:
        probabilities = learner.predict(batch)
        np.add.at(confusion, (batch.labels, probabilities.argmax(axis=1)), 1)
        found = list(_mistakes(batch, probabilities))
        mistakes += [mistake for mistake, _ in found]
        worst = nlargest(count, [*worst, *found], key=lambda one: one[0].loss)
    mistakes.sort(key=lambda mistake: mistake.loss, reverse=True)
    return Examination(tuple(mistakes), tuple(picture for _, picture in worst), confusion)


def _mistakes(batch: Batch, probabilities: np.ndarray[Any, Any]) -> Iterator[tuple[Mistake, Pixels]]:
    predicted = probabilities.argmax(axis=1)
    for place in np.flatnonzero(predicted != batch.labels).tolist():
        label, taken = int(batch.labels[place]), int(predicted[place])
        with np.errstate(divide="ignore"):
            loss = -float(np.log(probabilities[place, label]))
        # The loader will write over the pixels.
        picture = picture_colours(batch.images[place]).copy()
        yield Mistake(int(batch.indices[place]), label, taken, float(probabilities[place, taken]), loss), picture
