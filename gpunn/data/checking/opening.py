"""Opening a data set to check it: what training would refuse becomes part of what is found."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from gpunn.data.checking.collection import Collection, Half
from gpunn.data.checking.folders import WHOLE, open_folder
from gpunn.data.dataset import Dataset, DataWarning, Split
from gpunn.data.names import printable
from gpunn.data.selection import Selection
from gpunn.data.sources.kinds import CLASS_FOLDERS, KINDS
from gpunn.data.sources.opening import is_named, open_data
from gpunn.errors import DataError, UsageError


def open_collection(name_or_path: str) -> Collection:
    """The data set of a name or at a path, as `open_data` finds it.

    Raises:
        UsageError: nothing is there.
        DataError: a data set that has a name cannot be had.
    """
    if is_named(name_or_path):
        return Collection(_halves(open_data(name_or_path, seed=0)))
    path = Path(name_or_path).expanduser()
    if not os.path.exists(path):
        raise UsageError(f"there is no '{printable(path.absolute())}'; give the path of a data set or its name")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        opened = open_folder(os.fsencode(path)) if _is_folder(path) else _open_other(name_or_path, path)
    said = []
    for warning in caught:
        if issubclass(warning.category, DataWarning):
            said.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Collection(opened.halves, opened.faults, (*said, *opened.warnings))


def _is_folder(path: Path) -> bool:
    """Whether it is a folder of class folders, or one that may have been meant to be."""
    try:
        return path.is_dir() and not any(kind is not CLASS_FOLDERS and kind.is_at(path) for kind in KINDS)
    except OSError:
        # A folder that cannot be read; reading it tells why.
        return path.is_dir()


def _open_other(name_or_path: str, path: Path) -> Collection:
    try:
        return Collection(_halves(open_data(name_or_path, seed=0, keep_empty_classes=True)))
    except DataError as error:
        place = WHOLE if path.is_dir() else os.fsencode(path.name).decode("utf-8", "surrogateescape")
        return Collection((), {place: str(error)})


def _halves(split: Split) -> tuple[Half, ...]:
    """Both halves, or the whole where a seed would divide it."""
    wholes = [_whole(half) for half in (split.train, split.validation)]
    if wholes[0] is wholes[1]:
        return (Half("", wholes[0]),)
    return Half("train", split.train), Half("validation", split.validation)


def _whole(dataset: Dataset) -> Dataset:
    return dataset.origin(0)[0] if isinstance(dataset, Selection) else dataset
