"""How well a trained run does on a data set."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gpunn.data.dataset import Dataset, compare_classes
from gpunn.data.loading.loader import Loader
from gpunn.data.loading.readable import readable
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.opening import open_for_measuring
from gpunn.errors import DataError
from gpunn.training.experiment import open_split
from gpunn.training.fitting import adaptation_lines
from gpunn.training.ten_crop import TenCrop
from gpunn.training.totals import Totals
from gpunn.training.trained_run import TrainedRun, load_run


@dataclass(frozen=True)
class Evaluation:
    """Loss and hits, and what a person should know beside them.

    Attributes:
        totals: over the images.
        epochs: that the weights were trained for.
        classes: how many there are to choose from.
        notes: lines to read.
    """

    totals: Totals
    epochs: int
    classes: int
    notes: tuple[str, ...]


def evaluate_run(run: Path, data: str | None, device: str = "auto", *, ten_crops: bool = False) -> Evaluation:
    """Loss and hits of a run's best checkpoint.

    Args:
        run: the folder of the run, or a checkpoint file.
        data: other images; None takes the validation half of the run's own.
        device: where to compute.
        ten_crops: average over ten crops of every image, instead of looking at its centre.

    Raises:
        DataError: when the images cannot be read, or their classes are not those of the run.
        UsageError: when ten crops are wanted of images that are shown to the network whole.
    """
    trained = load_run(run, device)
    crops = TenCrop(trained.preprocessing) if ten_crops else None
    preprocessing = crops.pictures if crops else trained.preprocessing
    notes = [trained.note] if trained.note is not None else []
    dataset = open_measured(trained, run, data)
    notes += adaptation_lines(dataset, preprocessing)
    if crops is not None:
        notes.append(crops.description)
    with closing(loader_of(trained, dataset, preprocessing)) as loader:
        batches = readable(loader.batches(0))
        totals = crops.evaluate(trained.learner, batches) if crops else trained.learner.evaluate(batches)
    left_out = len(dataset) - int(totals.images)
    if left_out:
        notes.append(f"{left_out:,} of {len(dataset):,} images cannot be read and are left out")
    return Evaluation(totals, trained.epochs, len(trained.classes), tuple(notes))


def open_measured(trained: TrainedRun, run: Path, data: str | None) -> Dataset:
    """The images that a run is measured on: the validation half of its own, or others with the same classes.

    Args:
        trained: the run.
        run: where it lies, for messages.
        data: other images; None takes the run's own.

    Raises:
        DataError: when the images cannot be read, or their classes are not those of the run.
    """
    dataset = open_split(trained.configuration).validation if data is None else open_for_measuring(data)
    difference = compare_classes(trained.classes, dataset.classes, ("the run", "the data set"))
    if difference is not None:
        raise DataError(f"these images cannot be measured with the run in '{run}': the classes differ; {difference}")
    return dataset


def loader_of(trained: TrainedRun, dataset: Dataset, preprocessing: Preprocessing) -> Loader:
    """Reads the images in order, as the run read its validation images; close it in the end."""
    settings = trained.configuration
    return Loader(
        dataset,
        preprocessing,
        batch_size=settings.batch_size,
        seed=0,
        workers=settings.workers,
        worker_kind=settings.worker_kind,
        decoder=trained.decoder,
        unreadable="raise" if settings.unreadable == "raise" else "skip",
        timeout=settings.data_timeout,
        pin=trained.learner.device.pin,
    )
