"""Image files in one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Split, content_hash
from gpunn.data.decoding.decode import decode
from gpunn.data.decoding.file import read_file
from gpunn.data.names import printable
from gpunn.data.sources.tree import SUFFIXES, class_folders, images_by_class
from gpunn.data.stratify import stratified_split
from gpunn.errors import DataError

LAYOUTS = (
    "train/CLASS/IMAGE and val/CLASS/IMAGE (or validation/CLASS/IMAGE), or CLASS/IMAGE, which is split by the seed"
)

END_BYTES = 4096
"""How much of either end of a file the fingerprint takes in."""


@dataclass(frozen=True, eq=False)
class FolderDataset:
    """Image files below `root`, decoded to RGB each time they are loaded.

    Attributes:
        root: the folder, as bytes.
        paths: the files, relative to `root`.
        labels: int32, (N,).
        classes: printable names, by label.
        half: where `root` lies in the folder of the whole data set, such as b"train"; empty where it is that folder.
    """

    root: bytes
    paths: tuple[bytes, ...]
    labels: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    half: bytes = b""

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return None, None, 3

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        return decode(self._path(index))

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

        A million whole files would take too long to read; compressed pictures that differ, differ at their ends.

        Raises:
            DataError: a file is gone.
        """
        return content_hash(self._content())

    def take(self, indices: npt.NDArray[np.int64]) -> FolderDataset:
        """The data set of these samples alone, in this order, with the same classes."""
        return FolderDataset(
            self.root, tuple(self.paths[index] for index in indices), self.labels[indices], self.classes, self.half
        )

    def _path(self, index: int) -> bytes:
        return os.path.join(self.root, self.paths[index])

    def _content(self) -> Iterator[bytes]:
        for name in self.classes:
            yield name.encode("utf-8")
        yield self.labels.astype("<i4").tobytes()
        for index, path in enumerate(self.paths):
            yield path
            try:
                yield from _ends(self._path(index))
            except OSError as error:
                raise DataError(f"{self.name(index)}: {error.strerror}") from error


def _ends(path: bytes) -> tuple[bytes, bytes, bytes]:
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(END_BYTES)
        file.seek(max(0, size - END_BYTES))
        return size.to_bytes(8, "little"), first, file.read(END_BYTES)


def read_classes(root: str | os.PathLike[str], *, keep_empty_classes: bool = False) -> FolderDataset:
    """All images of a tree CLASS/IMAGE; the classes are the folders, sorted by the bytes of their names.

    Args:
        root: the folder that holds the class folders.
        keep_empty_classes: let a class folder without images keep its label instead of refusing it.

    Raises:
        DataError: there are no class folders, or some are empty (all of those are listed).
    """
    return _read_classes(os.fsencode(root), keep_empty_classes)


def read_folder(
    root: str | os.PathLike[str], *, seed: int, validation_fraction: float = 0.2, keep_empty_classes: bool = False
) -> Split:
    """The split of a folder: from its folders train and val (or validation), or else made by `stratified_split`.

    Args:
        root: the folder.
        seed: divides a tree that has no split.
        validation_fraction: the part of such a tree that is held out.
        keep_empty_classes: as in `read_classes`.

    Raises:
        DataError: as `read_classes`; the two halves name different classes; a half is empty; there is one class.
        UsageError: `validation_fraction` is not between 0 and 1.
    """
    raw = os.fsencode(root)
    source = f"'{printable(raw)}'"
    halves = _find_halves(raw, source)
    if len(halves) == 2:
        train, validation = (_read_classes(half, keep_empty_classes, os.path.relpath(half, raw)) for half in halves)
        how = "as its folders divide it"
    else:
        half = b"" if halves[0] == raw else os.path.relpath(halves[0], raw)
        everything = _read_classes(halves[0], keep_empty_classes, half)
        train, validation = (
            everything.take(part) for part in stratified_split(everything.labels, validation_fraction, seed)
        )
        how = f"{validation_fraction:.0%} held out by seed {seed}"
    return Split(
        train,
        validation,
        f"{source}: {len(train)} training and {len(validation)} validation images of "
        f"{len(train.classes)} classes, {how}",
        Augmentation.for_photographs(),
    )


def read_for_measuring(root: str | os.PathLike[str]) -> FolderDataset:
    """The images of a folder that a trained network is measured on: its validation half, or all of CLASS/IMAGE.

    Classes without images keep their index.

    Raises:
        DataError: as `read_classes`; there is a training half and no other.
    """
    raw = os.fsencode(root)
    halves = _find_halves(raw, f"'{printable(raw)}'")
    if class_folders(raw) in ([b"val"], [b"validation"]):
        halves = [os.path.join(raw, *class_folders(raw))]
    elif len(halves) == 1 and halves[0] != raw:
        raise DataError(
            f"'{printable(raw)}' has a folder train and no val beside it; give the folder whose images to measure"
        )
    return _read_classes(halves[-1], keep_empty_classes=True)


def _find_halves(root: bytes, source: str) -> list[bytes]:
    """The folders of training and validation classes, or the one folder that is still to be divided."""
    train = os.path.join(root, b"train")
    # A folder named train that holds images and no folders is a class like any other.
    if not (os.path.isdir(train) and class_folders(train)):
        return [root]
    candidates = [os.path.join(root, name) for name in (b"val", b"validation")]
    present = [folder for folder in candidates if os.path.isdir(folder)]
    if len(present) == 2:
        raise DataError(f"{source} holds both a folder val and a folder validation; keep one of them")
    if present and not class_folders(present[0]):
        raise DataError(f"'{printable(present[0])}' holds no class folders; sort its images into one folder a class")
    return [train, *present]


def _read_classes(root: bytes, keep_empty_classes: bool, half: bytes = b"") -> FolderDataset:
    source = f"'{printable(root)}'"
    names = class_folders(root)
    if not names:
        raise DataError(f"{source} holds no class folders; accepted are {LAYOUTS}")
    images = images_by_class(root, names)
    empty = [name for name, paths in zip(names, images, strict=True) if not paths]
    if empty and not keep_empty_classes:
        raise DataError(_empty_message(source, empty))
    classes = tuple(printable(name) for name in names)
    if len(set(classes)) < len(classes):
        raise DataError(f"{source}: two class folders have the same printed name; rename one of {', '.join(classes)}")
    labels = np.repeat(np.arange(len(names), dtype=np.int32), [len(paths) for paths in images])
    labels.flags.writeable = False
    return FolderDataset(root, tuple(path for paths in images for path in paths), labels, classes, half)


def _empty_message(source: str, empty: Sequence[bytes]) -> str:
    suffixes = " ".join(sorted(suffix.decode("ascii") for suffix in SUFFIXES))
    return (
        f"{source}: no images ({suffixes}) in the class folders "
        + ", ".join(f"'{printable(name)}'" for name in empty)
        + "; fill or remove them, or ask to keep empty classes"
    )
