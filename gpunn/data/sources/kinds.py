"""The kinds of data that lie at a path: how each is recognised and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpunn.data.dataset import Dataset, Split
from gpunn.data.sources.arrays import NPZ_ARRAYS, is_npz, read_npz
from gpunn.data.sources.folder import LAYOUTS, read_folder, read_for_measuring
from gpunn.data.sources.halves import Division, Halves


@dataclass(frozen=True)
class Kind:
    """A way in which labelled pictures are stored.

    Attributes:
        name: such as "tar shards".
        layout: what must lie where.
        is_at: whether a path leads to data of this kind, at a glance.
        read: both halves, to train on.
        measure: the images to measure a trained network on.

    `read` and `measure` raise DataError for data that are refused.
    """

    name: str
    layout: str
    is_at: Callable[[Path], bool]
    read: Callable[[Path, Division], Split]
    measure: Callable[[Path], Dataset]


def _read_folder(path: Path, division: Division) -> Split:
    return read_folder(
        path,
        seed=division.seed,
        validation_fraction=division.validation_fraction,
        keep_empty_classes=division.keep_empty_classes,
    )


def _of_halves(name: str, layout: str, is_at: Callable[[Path], bool], read: Callable[[Path], Halves]) -> Kind:
    return Kind(
        name, layout, is_at, lambda path, division: read(path).split(division), lambda path: read(path).for_measuring()
    )


KINDS = (
    Kind("class folders", f"a folder laid out as {LAYOUTS}", Path.is_dir, _read_folder, read_for_measuring),
    _of_halves("an .npz file", f"an .npz file with the arrays {', '.join(NPZ_ARRAYS)}", is_npz, read_npz),
)
