"""A run and one image, as someone looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.data.loading.batch import Batch
from gpunn.data.names import printable
from gpunn.errors import DataError, UsageError
from gpunn.training.prediction import read_image
from gpunn.training.trained_run import TrainedRun
from gpunn.visualization.colours import Pixels, picture_colours

_NAMED_CLASSES = 12


@dataclass(frozen=True)
class SeenImage:
    """An image file and what the run says of it.

    Attributes:
        path: the file.
        batch: the image alone, preprocessed as validation does.
        probabilities: of the classes, float64.
    """

    path: Path
    batch: Batch
    probabilities: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def name(self) -> str:
        """Of the file, in printable characters."""
        return printable(self.path.name)

    @property
    def colours(self) -> Pixels:
        """The image as the network sees it, (H, W, 3)."""
        return picture_colours(self.batch.images[0])


def see(trained: TrainedRun, path: Path) -> SeenImage:
    """Read an image file and ask the run about it.

    Raises:
        DataError: when the file cannot be read; the text names it.
    """
    try:
        batch = read_image(trained, path)
    except DataError as error:
        raise DataError(f"'{printable(path)}': {error}") from None
    return SeenImage(path, batch, trained.learner.predict(batch)[0])


def class_number(classes: tuple[str, ...], wanted: str) -> int:
    """The label of a class that is given by name or, where no class has that name, by number from 0.

    Raises:
        UsageError: when there is no such class.
    """
    if wanted in classes:
        return classes.index(wanted)
    if wanted.isascii() and wanted.isdigit() and int(wanted) < len(classes):
        return int(wanted)
    some = ", ".join(classes[:_NAMED_CLASSES]) + (", ..." if len(classes) > _NAMED_CLASSES else "")
    raise UsageError(f"the run has no class {wanted!r}; give a name ({some}) or a number from 0 to {len(classes) - 1}")


def likely_classes(trained: TrainedRun, seen: SeenImage, count: int = 3) -> str:
    """The most likely classes with their probabilities, in words."""
    order = np.argsort(-seen.probabilities, kind="stable")[:count]
    return ", ".join(f"{trained.classes[k]} ({seen.probabilities[k]:.1%})" for k in order)
