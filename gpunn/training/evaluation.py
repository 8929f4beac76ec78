"""How well a trained run does on a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpunn.data.dataset import Dataset, compare_classes
from gpunn.data.loading.loader import Loader
from gpunn.data.sources.folder import read_for_measuring
from gpunn.data.sources.opening import open_data
from gpunn.errors import DataError
from gpunn.training.experiment import open_split
from gpunn.training.fitting import adaptation_lines
from gpunn.training.totals import Totals
from gpunn.training.trained_run import TrainedRun, load_run


@dataclass(frozen=True)
class Evaluation:
    """Loss and hits, and lines that a person should read beside them."""

    totals: Totals
    notes: tuple[str, ...]


def evaluate_run(run: Path, data: str | None, device: str = "auto") -> Evaluation:
    """Loss and hits of a run's best checkpoint.

    Args:
        run: the folder of the run, or a checkpoint file.
        data: other images; None takes the validation half of the run's own.
        device: where to compute.

    Raises:
        DataError: when the images cannot be read, or their classes are not those of the run.
    """
    trained = load_run(run, device)
    notes = [trained.note] if trained.note is not None else []
    dataset = open_split(trained.configuration).validation if data is None else _other_images(trained, data)
    difference = compare_classes(trained.classes, dataset.classes, ("the run", "the data set"))
    if difference is not None:
        raise DataError(f"these images cannot be measured with the run in '{run}': the classes differ; {difference}")
    notes += adaptation_lines(dataset, trained.preprocessing)
    loader = Loader(dataset, trained.preprocessing, batch_size=trained.configuration.batch_size, seed=0)
    return Evaluation(trained.learner.evaluate(loader.batches(0)), tuple(notes))


def _other_images(trained: TrainedRun, data: str) -> Dataset:
    """The images that a folder, a file or a name holds for measuring."""
    folder = Path(data).expanduser()
    if data != "digits" and folder.is_dir():
        return read_for_measuring(folder)
    return open_data(data, seed=trained.configuration.seed).validation
