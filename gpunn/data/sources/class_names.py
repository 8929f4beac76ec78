"""The names of classes that their data only number."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.file import read_file
from gpunn.data.names import printable
from gpunn.errors import DataError

CLASSES_FILE = "classes.txt"
MAXIMUM_CLASSES = 1 << 20


def class_names(folder: Path, labels: npt.NDArray[Any]) -> tuple[str, ...]:
    """The lines of `CLASSES_FILE` in a folder; where there is none, "0", "1", ... up to the largest of the labels.

    Raises:
        DataError: the file cannot be read, has an empty line, or names a class twice; it is not there, nor are labels.
    """
    path = folder / CLASSES_FILE
    return _read_names(path) if os.path.lexists(path) else numbered_classes(labels, f"'{printable(folder)}'")


def numbered_classes(labels: npt.NDArray[Any], source: str) -> tuple[str, ...]:
    """Names for classes that have none: "0", "1", ... up to the largest of the labels.

    Raises:
        DataError: there are no labels.
    """
    if not labels.size:
        raise DataError(f"{source}: there are no training images, whose labels would tell the classes")
    highest = int(labels.max()) if np.issubdtype(labels.dtype, np.integer) else 0
    return tuple(str(label) for label in range(min(highest + 1, MAXIMUM_CLASSES)))


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
