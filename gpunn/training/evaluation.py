"""What a trained run says about images: accuracy over a data set, classes of single files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpunn.data.dataset import Dataset
from gpunn.data.decode import decode
from gpunn.data.folder import read_classes
from gpunn.data.loader import Batch, Loader
from gpunn.data.sources import open_data
from gpunn.errors import DataError
from gpunn.training.experiment import TrainedRun, load_run, open_split
from gpunn.training.learner import Totals
from gpunn.training.resumption import compare_classes

#: Folders that tell a tree with a split from one without.
_HALVES = ("train", "val", "validation")


@dataclass(frozen=True)
class Prediction:
    """One class and its probability, 0 to 1."""

    name: str
    probability: float


def evaluate_run(run: Path, data: str | None, device: str = "auto") -> Totals:
    """Loss and hits of a run's best checkpoint.

    Args:
        run: the folder of the run.
        data: other images; None takes the validation half of the run's own.
        device: where to compute.

    Raises:
        DataError: when the images cannot be read, or their classes are not those of the run.
    """
    trained = load_run(run, device)
    dataset = open_split(trained.configuration).validation if data is None else _other_images(trained, data)
    difference = compare_classes(trained.classes, dataset.classes)
    if difference is not None:
        raise DataError(f"these images cannot be measured with the run in '{run}': {difference}")
    loader = Loader(dataset, trained.preprocessing, batch_size=trained.configuration.batch_size, seed=0)
    return trained.learner.evaluate(loader.batches(0))


def predict_images(
    run: Path, images: Sequence[Path], top: int, device: str = "auto"
) -> list[tuple[Path, list[Prediction]]]:
    """The most likely classes of image files.

    Raises:
        DataError: when a file is not an image that can be read; nothing is predicted then.
    """
    trained = load_run(run, device)
    pictures = [trained.preprocessing.apply(decode(path)) for path in images]
    found = []
    for path, picture in zip(images, pictures, strict=True):
        batch = Batch(picture[np.newaxis], np.zeros(1, np.int32), np.zeros((1, 3), np.int32), np.zeros(1, np.int64))
        probabilities = trained.learner.predict(batch)[0]
        order = np.argsort(-probabilities, kind="stable")[:top]
        found.append((path, [Prediction(trained.classes[k], float(probabilities[k])) for k in order]))
    return found


def _other_images(trained: TrainedRun, data: str) -> Dataset:
    """A whole tree without a split, or the validation half of anything else."""
    folder = Path(data).expanduser()
    if folder.is_dir() and not any((folder / half).is_dir() for half in _HALVES):
        return read_classes(folder, keep_empty_classes=True)
    for half in ("val", "validation"):
        if (folder / half).is_dir():
            return read_classes(folder / half, keep_empty_classes=True)
    if folder.is_dir():
        raise DataError(f"'{folder}' has a train folder but no val folder; give the folder whose images to measure")
    return open_data(data, seed=trained.configuration.seed).validation
