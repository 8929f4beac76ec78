"""Image files in one folder for each class."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cache import CacheFiles, cache_folder
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import DataWarning, Split, compare_classes, content_hash
from gpunn.data.decoding.decode import decode_rgb
from gpunn.data.decoding.file import read_file
from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.keeping.contents import file_digests
from gpunn.data.keeping.kept_arrays import KeptArrays
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.data.sources.halves import Halves, Splitting
from gpunn.data.sources.tree.index import map_index, tree_index
from gpunn.data.sources.tree.scan import SUFFIXES, class_folders, half_folders
from gpunn.errors import DataError

_KEEPING = "gpunn train --set keep_empty_classes=true, gpunn data pack --keep-empty-classes"

LAYOUTS = (
    "train/CLASS/IMAGE and val/CLASS/IMAGE (or validation/CLASS/IMAGE), or CLASS/IMAGE, which is split by the seed"
)

SHOWN_FOLDERS = 5
"""How many folders a warning shows."""


@dataclass(frozen=True, eq=False)
class FolderDataset:
    """Image files below `root`, decoded to RGB each time they are loaded.

    Attributes:
        root: the folder, as bytes.
        paths: the files, relative to `root`.
        labels: int32, (N,).
        classes: printable names, by label.
        half: where `root` lies in the folder of the whole data set, such as b"train"; empty where it is that folder.
        kept: the file of the cache that the paths are mapped from; another process gets its name instead of the paths.
        cache: where digests of the files are kept; None: nowhere.
    """

    root: bytes
    paths: ByteStrings
    labels: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    half: bytes = b""
    kept: KeptArrays | None = None
    cache: SourceCache | None = None

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return None, None, 3

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        try:
            return decode_rgb(self.read(index))
        except DataError as error:
            raise DataError(f"{self.name(index)}: {error}") from error

    @property
    def shards(self) -> None:
        return None

    def read(self, index: int) -> bytes:
        return read_file(self._path(index))

    def name(self, index: int) -> str:
        return f"'{printable(self._path(index))}'"

    def key(self, index: int) -> str:
        """The path of a file in the folder of the whole data set; bytes that are not UTF-8 are surrogates."""
        return os.path.join(self.half, self.paths[index]).decode("utf-8", "surrogateescape")

    def fingerprint(self) -> str:
        """SHA-256 over classes, labels, relative paths, and each file's size, first and last bytes.

        The files are looked at when this is first asked for.

        Raises:
            DataError: a file is gone.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digests = file_digests(self.root, self.paths, self.cache)
        return content_hash(
            [
                *(name.encode("utf-8") for name in self.classes),
                self.labels.astype("<i4").tobytes(),
                self.paths.offsets.astype("<i8").tobytes(),
                self.paths.content.tobytes(),
                digests.tobytes(),
            ]
        )

    def _path(self, index: int) -> bytes:
        return os.path.join(self.root, self.paths[index])

    def __reduce__(self) -> tuple[Any, ...]:
        if self.kept is not None and self.kept.in_place():
            counts = np.bincount(self.labels, minlength=len(self.classes))
            return _map_again, (self.root, self.classes, counts, self.half, self.kept.path, self.kept.digest)
        return FolderDataset, (self.root, self.paths, self.labels, self.classes, self.half)


@dataclass(frozen=True)
class _Tree:
    """Where class folders lie, and their names; `half` as in `FolderDataset`."""

    root: bytes
    half: bytes
    folders: list[bytes]

    @classmethod
    def at(cls, data_root: bytes, half: bytes = b"") -> _Tree:
        root = os.path.join(data_root, half) if half else data_root
        return cls(root, half, class_folders(root))


def read_classes(root: str | os.PathLike[str], *, keep_empty_classes: bool = False) -> FolderDataset:
    """All images of a tree CLASS/IMAGE; the classes are the folders, sorted by the bytes of their names.

    Args:
        root: the folder that holds the class folders.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.

    Raises:
        DataError: there are no class folders, or some are empty (all of those are listed).
    """
    tree = _Tree.at(os.fsencode(root))
    return _read_tree(tree, tree.folders, keep_empty_classes, CacheFiles(cache_folder("data")))


def read_folder(root: str | os.PathLike[str], splitting: Splitting) -> Split:
    """The split of a folder: from its folders train and val (or validation), or else made by `stratified_split`.

    Where classes may be empty, they are those of both halves. Folders beside train that are no validation half are
    passed over with a DataWarning.

    Args:
        root: the folder.
        splitting: of a tree that has no split.

    Raises:
        DataError: as `read_classes`; the two halves name different classes; a half is empty; there is one class.
        UsageError: the fraction that is held out is not between 0 and 1.
    """
    raw = os.fsencode(root)
    source = f"'{printable(raw)}'"
    trees = [_Tree.at(raw, half) for half in _find_halves(raw, source)]
    files = CacheFiles(cache_folder("data"))
    keep_empty = splitting.keep_empty_classes
    found = [_read_tree(tree, _all_folders(trees) if keep_empty else tree.folders, keep_empty, files) for tree in trees]
    photographs = Augmentation.for_photographs()
    if not trees[0].half:
        return Halves(source, undivided=found[0], augmentation=photographs).split(splitting)
    if len(found) == 1:
        _warn_of_others(raw, source)
        return Halves(source, train=found[0], augmentation=photographs).split(splitting)
    difference = compare_classes(found[0].classes, found[1].classes, ("training", "validation"))
    if difference is not None:
        raise DataError(
            f"{source}: the classes of training and validation differ; {difference}. Give both halves the same class "
            f"folders, or let a class be empty where it is missing: {_KEEPING}"
        )
    return Halves(source, train=found[0], validation=found[1], augmentation=photographs).split(splitting)


def read_for_measuring(root: str | os.PathLike[str]) -> FolderDataset:
    """The images of a folder that a trained network is measured on: its validation half, or all of CLASS/IMAGE.

    Classes without images keep their index, and so do those that the training half alone has.

    Raises:
        DataError: as `read_classes`; there is a training half and no other.
    """
    raw = os.fsencode(root)
    halves = _find_halves(raw, f"'{printable(raw)}'")
    if class_folders(raw) in ([b"val"], [b"validation"]):
        halves = class_folders(raw)
    elif halves == [b"train"]:
        raise DataError(
            f"'{printable(raw)}' has a folder train and no val beside it; give the folder whose images to measure"
        )
    trees = [_Tree.at(raw, half) for half in halves]
    return _read_tree(trees[-1], _all_folders(trees), True, CacheFiles(cache_folder("data")))


def _find_halves(root: bytes, source: str) -> list[bytes]:
    """The folders of training and validation classes, or of classes that are still to be divided; empty: the root."""
    halves = half_folders(root)
    if len(halves) > 2:
        raise DataError(f"{source} holds both a folder val and a folder validation; keep one of them")
    for name in halves[1:]:
        folder = os.path.join(root, name)
        if not class_folders(folder):
            raise DataError(f"'{printable(folder)}' holds no class folders; sort its images into one folder a class")
    return halves


def _all_folders(trees: Sequence[_Tree]) -> list[bytes]:
    """The names of the class folders that any of the trees has, sorted by bytes."""
    return sorted({name for tree in trees for name in tree.folders})


def _warn_of_others(root: bytes, source: str) -> None:
    """Of the folders beside train, which are no validation half."""
    others = [name for name in class_folders(root) if name != b"train"]
    if others:
        shown = ", ".join(f"'{printable(name)}'" for name in others[:SHOWN_FOLDERS])
        more = f" and {len(others) - SHOWN_FOLDERS} more" if len(others) > SHOWN_FOLDERS else ""
        warnings.warn(
            f"{source} has a folder train and neither val nor validation, so part of train is held out to measure on; "
            f"passed over: {shown}{more}. To measure on one of them, call it val",
            DataWarning,
            stacklevel=3,
        )


def _read_tree(tree: _Tree, every: Sequence[bytes], keep_empty_classes: bool, files: CacheFiles) -> FolderDataset:
    """The images of the classes `every`; those without a folder in this tree are empty."""
    root, names = tree.root, tree.folders
    source = f"'{printable(root)}'"
    if not names:
        raise DataError(f"{source} holds no class folders; accepted are {LAYOUTS}")
    classes = tuple(printable(name) for name in every)
    alike = [name for name, count in Counter(classes).items() if count > 1]
    if alike:
        raise DataError(
            f"{source}: several class folders have the same printed name, "
            + ", ".join(f"'{name}'" for name in alike)
            + "; give them names that differ in print"
        )
    cache = SourceCache(root, files)
    index = tree_index(root, names, cache)
    counts = dict(zip(names, index.counts.tolist(), strict=True))
    empty = [name for name in names if counts[name] == 0]
    if empty and not keep_empty_classes:
        raise DataError(_empty_message(source, empty))
    labels = _labels(np.array([counts.get(name, 0) for name in every]))
    return FolderDataset(root, index.paths, labels, classes, tree.half, index.kept, cache)


def _map_again(
    root: bytes, classes: tuple[str, ...], counts: npt.NDArray[np.int64], half: bytes, path: Path, digest: bytes
) -> FolderDataset:
    """A data set in another process, from the file of the cache that the first has mapped."""
    index = map_index(path, digest)
    if index is None:
        raise DataError(
            f"'{printable(root)}': its index was removed from the cache, '{path}', at this moment; try again"
        )
    return FolderDataset(root, index.paths, _labels(counts), classes, half, index.kept)


def _labels(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Of the images of each class, one class after the other."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    labels.flags.writeable = False
    return labels


def _empty_message(source: str, empty: Sequence[bytes]) -> str:
    suffixes = " ".join(sorted(suffix.decode("ascii") for suffix in SUFFIXES))
    return (
        f"{source}: no images ({suffixes}) in the class folders "
        + ", ".join(f"'{printable(name)}'" for name in empty)
        + f"; fill or remove them, or let them keep their labels: {_KEEPING}"
    )
