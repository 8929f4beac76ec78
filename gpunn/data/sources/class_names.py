"""The names of classes that their data only number."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import DataWarning
from gpunn.data.decoding.file import read_file
from gpunn.data.names import printable
from gpunn.errors import DataError

CLASSES_FILE = "classes.txt"
MAXIMUM_CLASSES = 1 << 20

LIKELY_CLASSES = 1000
"""With no names and fewer images than classes, more classes than this are a mistake in a label."""

SHOWN_CLASSES = 5
"""How many classes a warning shows."""


def class_names(folder: Path, labels: npt.NDArray[Any]) -> tuple[str, ...]:
    """The lines of `CLASSES_FILE` in a folder; where there is none, "0", "1", ... up to the largest of the labels.

    Classes that no label belongs to are told in a DataWarning.

    Raises:
        DataError: the file cannot be read, has an empty line, or names a class twice; it is not there, nor are labels.
    """
    path = folder / CLASSES_FILE
    source = f"'{printable(folder)}'"
    if not os.path.lexists(path):
        return numbered_classes(labels, source)
    names = _read_names(path)
    _warn_of_empty(names, labels, source)
    return names


def numbered_classes(labels: npt.NDArray[Any], source: str) -> tuple[str, ...]:
    """Names for classes that have none: "0", "1", ... up to the largest of the labels.

    Numbers below it that no label is are told in a DataWarning: the labels may have been counted from 1.

    Raises:
        DataError: there are no labels, or one of them is so large that there were more classes than images.
    """
    if not labels.size:
        raise DataError(f"{source}: there are no training images, whose labels would tell the classes")
    highest = int(labels.max()) if np.issubdtype(labels.dtype, np.integer) else 0
    if highest >= max(labels.size, LIKELY_CLASSES):
        raise DataError(
            f"{source}: sample {int(labels.argmax())} has label {highest}, which makes {highest + 1} classes of "
            f"{labels.size} images; correct it, or name the classes in {CLASSES_FILE}"
        )
    names = tuple(str(label) for label in range(min(highest + 1, MAXIMUM_CLASSES)))
    _warn_of_empty(names, labels, source)
    return names


def _warn_of_empty(names: tuple[str, ...], labels: npt.NDArray[Any], source: str) -> None:
    met = set(np.unique(labels).tolist())
    if not met <= set(range(len(names))):
        # Labels that are none of the classes will be refused, with the sample.
        return
    empty = [f"'{name}'" for label, name in enumerate(names) if label not in met]
    if empty:
        shown = ", ".join(empty[:SHOWN_CLASSES])
        more = f" and {len(empty) - SHOWN_CLASSES} more" if len(empty) > SHOWN_CLASSES else ""
        warnings.warn(
            f"{source}: of {len(names)} classes, whose labels count from 0, these have no training images: "
            f"{shown}{more}",
            DataWarning,
            stacklevel=3,
        )


def _read_names(path: Path) -> tuple[str, ...]:
    source = f"'{printable(path)}'"
    try:
        lines = read_file(path).removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()
    except DataError as error:
        raise DataError(f"{source}: {error}; it holds the names of the classes, one a line") from error
    names = tuple(printable(line.strip()) for line in lines)
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{source}: line {number + 1} is empty; give the names of the classes, one a line")
        if name in names[:number]:
            raise DataError(f"{source}: line {number + 1} names the class '{name}' again; give each another name")
    return names
