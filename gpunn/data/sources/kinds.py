"""The kinds of data that lie at a path: how each is recognised and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpunn.data.dataset import Dataset, Split
from gpunn.data.sources.arrays import NPZ_ARRAYS, is_npz, read_npz
from gpunn.data.sources.halves import Halves, Splitting
from gpunn.data.sources.idx import LAYOUT as IDX_LAYOUT
from gpunn.data.sources.idx import is_idx, read_idx_folder
from gpunn.data.sources.npy import LAYOUT as NPY_LAYOUT
from gpunn.data.sources.npy import is_npy, read_npy_folder
from gpunn.data.sources.packed.dataset import is_packed, read_packed
from gpunn.data.sources.shards.dataset import read_shards
from gpunn.data.sources.shards.layout import LAYOUT as SHARD_LAYOUT
from gpunn.data.sources.shards.layout import is_shards
from gpunn.data.sources.tree.dataset import LAYOUTS, read_folder, read_for_measuring
from gpunn.data.sources.tree.scan import is_image
from gpunn.errors import DataError


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
    read: Callable[[Path, Splitting], Split]
    measure: Callable[[Path], Dataset]


def _of_halves(name: str, layout: str, is_at: Callable[[Path], bool], read: Callable[[Path], Halves]) -> Kind:
    return Kind(
        name,
        layout,
        is_at,
        lambda path, splitting: read(path).split(splitting),
        lambda path: read(path).for_measuring(),
    )


def _has_class_folders(path: Path) -> bool:
    """Whether a folder of a folder holds a picture or a folder."""
    return any(_holds_pictures(folder) for folder in _folders(path))


def _folders(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        with os.scandir(os.fsencode(path)) as entries:
            yield from (entry.path for entry in entries if entry.is_dir() and not entry.name.startswith(b"."))


def _holds_pictures(folder: bytes) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(is_image(entry.name) or entry.is_dir() for entry in entries)
    except PermissionError:
        return False


CLASS_FOLDERS = Kind(
    "class folders", f"a folder laid out as {LAYOUTS}", _has_class_folders, read_folder, read_for_measuring
)

KINDS = (
    CLASS_FOLDERS,
    _of_halves("tar shards", SHARD_LAYOUT, is_shards, read_shards),
    _of_halves("IDX files", IDX_LAYOUT, is_idx, read_idx_folder),
    _of_halves(".npy files", NPY_LAYOUT, is_npy, read_npy_folder),
    _of_halves("an .npz file", f"an .npz file with the arrays {', '.join(NPZ_ARRAYS)}", is_npz, read_npz),
    Kind(
        "a packed file",
        "a file that gpunn data pack wrote",
        is_packed,
        lambda path, splitting: read_packed(path),
        lambda path: read_packed(path).validation,
    ),
)


def kind_at(path: Path) -> Kind | None:
    """The kind of data at a path; None where there is nothing of any kind.

    Raises:
        DataError: it cannot be read, or holds more than one kind; the text goes on after the path.
    """
    try:
        kinds = [kind for kind in KINDS if kind.is_at(path)]
        if not kinds and any(_folders(path)):
            # Folders without pictures: reading them tells which are empty.
            kinds = [CLASS_FOLDERS]
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    if len(kinds) > 1:
        names = " as well as ".join(kind.name for kind in kinds)
        raise DataError(f"holds {names}; keep one of them there, or give the folder of one")
    return kinds[0] if kinds else None
