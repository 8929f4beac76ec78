"""A data set by the name or the path that a person gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpunn.data.dataset import Dataset, Split
from gpunn.data.names import printable
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.kinds import KINDS, Kind, kind_at
from gpunn.data.sources.named import NAMED
from gpunn.data.sources.nothing_found import nothing_found
from gpunn.errors import DataError


def open_data(
    name_or_path: str, *, seed: int, validation_fraction: float = 0.2, keep_empty_classes: bool = False
) -> Split:
    """The data set of a name, or what lies at a path.

    Args:
        name_or_path: "digits" or "fashion-mnist" (a folder of that name is "./digits"), or a path to data of one of the
            kinds that `gpunn.data.sources.kinds` lists.
        seed: splits what has no split of its own.
        validation_fraction: the part of it that is held out.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.

    Raises:
        DataError: nothing of the kind is there, which is said in several lines that list what is accepted; or what is
            there is refused.
        UsageError: `validation_fraction` is not between 0 and 1.
    """
    if is_named(name_or_path):
        return NAMED[name_or_path].read()
    path = Path(name_or_path).expanduser()
    return _kind(name_or_path, path).read(path, Splitting(seed, validation_fraction, keep_empty_classes))


def open_for_measuring(name_or_path: str) -> Dataset:
    """The images that a trained network is measured on: the validation half, or all of what is not divided.

    Args:
        name_or_path: as `open_data` takes it.

    Raises:
        DataError: as `open_data`; there is a training half and no other.
    """
    if is_named(name_or_path):
        return NAMED[name_or_path].read().validation
    path = Path(name_or_path).expanduser()
    return _kind(name_or_path, path).measure(path)


def is_named(name_or_path: str) -> bool:
    """Whether it is the name of a data set; any other text is a path."""
    return name_or_path in NAMED


def suggested_settings(name_or_path: str) -> Mapping[str, Any]:
    """The settings that suit a data set of that name, below the user's own and over the model's recipe.

    They have the names of `config.toml`; a data set without a name suggests nothing.
    """
    return NAMED[name_or_path].settings if is_named(name_or_path) else {}


def _kind(name_or_path: str, path: Path) -> Kind:
    try:
        kind = kind_at(path)
    except DataError as error:
        raise DataError(f"data '{printable(name_or_path)}': '{printable(path.absolute())}' {error}") from error
    if kind is None:
        raise DataError(nothing_found(name_or_path, path, NAMED, [kind.layout for kind in KINDS]))
    return kind
