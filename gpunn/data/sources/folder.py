"""Image files in one folder for each class."""

from __future__ import annotations

import os
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
from gpunn.data.dataset import Split, content_hash
from gpunn.data.decoding.decode import decode_rgb
from gpunn.data.decoding.file import read_file
from gpunn.data.names import printable
from gpunn.data.sources.byte_strings import ByteStrings
from gpunn.data.sources.contents import file_digests
from gpunn.data.sources.halves import Halves, Splitting
from gpunn.data.sources.kept_arrays import KeptArrays
from gpunn.data.sources.tree import SUFFIXES, class_folders, half_folders
from gpunn.data.sources.tree_cache import TreeCache
from gpunn.data.sources.tree_index import TreeIndex, map_index, tree_index
from gpunn.errors import DataError

LAYOUTS = (
    "train/CLASS/IMAGE and val/CLASS/IMAGE (or validation/CLASS/IMAGE), or CLASS/IMAGE, which is split by the seed"
)


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
    cache: TreeCache | None = None

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
            return _map_again, (self.root, self.classes, self.half, self.kept.path, self.kept.digest)
        return FolderDataset, (self.root, self.paths, self.labels, self.classes, self.half)


def read_classes(root: str | os.PathLike[str], *, keep_empty_classes: bool = False) -> FolderDataset:
    """All images of a tree CLASS/IMAGE; the classes are the folders, sorted by the bytes of their names.

    Args:
        root: the folder that holds the class folders.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.

    Raises:
        DataError: there are no class folders, or some are empty (all of those are listed).
    """
    return _read_classes(os.fsencode(root), b"", keep_empty_classes, CacheFiles(cache_folder("data")))


def read_folder(root: str | os.PathLike[str], splitting: Splitting) -> Split:
    """The split of a folder: from its folders train and val (or validation), or else made by `stratified_split`.

    Args:
        root: the folder.
        splitting: of a tree that has no split.

    Raises:
        DataError: as `read_classes`; the two halves name different classes; a half is empty; there is one class.
        UsageError: the fraction that is held out is not between 0 and 1.
    """
    raw = os.fsencode(root)
    source = f"'{printable(raw)}'"
    files = CacheFiles(cache_folder("data"))
    found = [_read_classes(raw, half, splitting.keep_empty_classes, files) for half in _find_halves(raw, source)]
    photographs = Augmentation.for_photographs()
    if len(found) == 2:
        halves = Halves(source, train=found[0], validation=found[1], augmentation=photographs)
    else:
        halves = Halves(source, undivided=found[0], augmentation=photographs)
    return halves.split(splitting)


def read_for_measuring(root: str | os.PathLike[str]) -> FolderDataset:
    """The images of a folder that a trained network is measured on: its validation half, or all of CLASS/IMAGE.

    Classes without images keep their index.

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
    return _read_classes(raw, halves[-1], True, CacheFiles(cache_folder("data")))


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


def _read_classes(data_root: bytes, half: bytes, keep_empty_classes: bool, files: CacheFiles) -> FolderDataset:
    root = os.path.join(data_root, half) if half else data_root
    source = f"'{printable(root)}'"
    names = class_folders(root)
    if not names:
        raise DataError(f"{source} holds no class folders; accepted are {LAYOUTS}")
    classes = tuple(printable(name) for name in names)
    alike = [name for name, count in Counter(classes).items() if count > 1]
    if alike:
        raise DataError(
            f"{source}: several class folders have the same printed name, "
            + ", ".join(f"'{name}'" for name in alike)
            + "; give them names that differ in print"
        )
    cache = TreeCache(root, files)
    index = tree_index(root, names, cache)
    empty = [name for name, count in zip(names, index.counts.tolist(), strict=True) if count == 0]
    if empty and not keep_empty_classes:
        raise DataError(_empty_message(source, empty))
    return FolderDataset(root, index.paths, _labels(index), classes, half, index.kept, cache)


def _map_again(root: bytes, classes: tuple[str, ...], half: bytes, path: Path, digest: bytes) -> FolderDataset:
    """A data set in another process, from the file of the cache that the first has mapped."""
    index = map_index(path, digest)
    if index is None:
        raise DataError(
            f"'{printable(root)}': its index was removed from the cache, '{path}', at this moment; try again"
        )
    return FolderDataset(root, index.paths, _labels(index), classes, half, index.kept)


def _labels(index: TreeIndex) -> npt.NDArray[np.int32]:
    labels = np.repeat(np.arange(len(index.counts), dtype=np.int32), index.counts)
    labels.flags.writeable = False
    return labels


def _empty_message(source: str, empty: Sequence[bytes]) -> str:
    suffixes = " ".join(sorted(suffix.decode("ascii") for suffix in SUFFIXES))
    return (
        f"{source}: no images ({suffixes}) in the class folders "
        + ", ".join(f"'{printable(name)}'" for name in empty)
        + "; fill or remove them, or let them keep their labels: --set keep_empty_classes=true"
    )
