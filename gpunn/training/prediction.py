"""What a trained run sees in single images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpunn.data.decoding.file import read_file
from gpunn.data.loading.batch import Batch
from gpunn.data.names import printable
from gpunn.errors import DataError
from gpunn.training.trained_run import TrainedRun, load_run


@dataclass(frozen=True)
class Prediction:
    """One class and its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a run sees in one image file.

    Attributes:
        image: the file.
        predictions: the most likely class first; none where the file cannot be read.
        error: why it cannot be read.
    """

    image: Path
    predictions: tuple[Prediction, ...] = ()
    error: str | None = None


def predict_images(run: Path, images: Sequence[Path], top: int, device: str = "auto") -> Iterator[Answer]:
    """The `top` most likely classes of image files, one file after the other."""
    trained = load_run(run, device)
    if trained.note is not None:
        warnings.warn(trained.note, stacklevel=2)
    for path in images:
        try:
            batch = read_image(trained, path)
        except DataError as error:
            yield Answer(path, error=str(error))
        else:
            yield Answer(path, _predictions(trained, batch, top))


def _predictions(trained: TrainedRun, batch: Batch, top: int) -> tuple[Prediction, ...]:
    probabilities = trained.learner.predict(batch)[0]
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(Prediction(trained.classes[k], float(probabilities[k])) for k in order)


def read_image(trained: TrainedRun, path: Path) -> Batch:
    """What the network sees of an image file, as a batch of one, read as the images that it was measured on.

    Raises:
        DataError: when it cannot be read; the text tells why, not which.
    """
    if path.is_dir():
        raise DataError(f"it is a folder; give image files, such as {printable(path)}/*.jpg")
    preprocessing = trained.preprocessing
    out = np.empty((1, preprocessing.height, preprocessing.width, preprocessing.channels), np.uint8)
    picture = trained.decoder.open(read_file(path))
    picture.draw(out[0], preprocessing.evaluation_box(*picture.size))
    return Batch(out, np.zeros(1, np.int32), np.zeros((1, 3), np.int32), np.zeros(1, np.int64))
