"""What a trained run sees in single images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpunn.data.decoding.decode import decode
from gpunn.data.loading.batch import Batch
from gpunn.training.trained_run import load_run


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
    pictures = [trained.preprocessing.apply(decode(path)) for path in images]
    found = []
    for path, picture in zip(images, pictures, strict=True):
        batch = Batch(picture[np.newaxis], np.zeros(1, np.int32), np.zeros((1, 3), np.int32), np.zeros(1, np.int64))
        probabilities = trained.learner.predict(batch)[0]
        order = np.argsort(-probabilities, kind="stable")[:top]
        found.append((path, [Prediction(trained.classes[k], float(probabilities[k])) for k in order]))
    return found
