"""What a trained run sees in single images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

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


def predict_images(
    run: Path, images: Sequence[Path], top: int, device: str = "auto"
) -> list[tuple[Path, list[Prediction]]]:
    """The most likely classes of image files.

    Raises:
        DataError: when a file is not an image that can be read; nothing is predicted then.
    """
    trained = load_run(run, device)
    if trained.note is not None:
        warnings.warn(trained.note, stacklevel=2)
    pictures = [_picture(trained, path) for path in images]
    found = []
    for path, picture in zip(images, pictures, strict=True):
        batch = Batch(picture[np.newaxis], np.zeros(1, np.int32), np.zeros((1, 3), np.int32), np.zeros(1, np.int64))
        probabilities = trained.learner.predict(batch)[0]
        order = np.argsort(-probabilities, kind="stable")[:top]
        found.append((path, [Prediction(trained.classes[k], float(probabilities[k])) for k in order]))
    return found


def _picture(trained: TrainedRun, path: Path) -> npt.NDArray[np.uint8]:
    """What the network sees of an image file, read as the images that it was measured on."""
    preprocessing = trained.preprocessing
    out = np.empty((preprocessing.height, preprocessing.width, preprocessing.channels), np.uint8)
    try:
        picture = trained.decoder.open(read_file(path))
        picture.draw(out, preprocessing.evaluation_box(*picture.size))
    except DataError as error:
        raise DataError(f"'{printable(path)}': {error}") from error
    return out
