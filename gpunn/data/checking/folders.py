"""Opening a folder of class folders to check it, whatever training would say of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from gpunn.data.checking.collection import Collection, Half
from gpunn.data.checking.passed_over import passed_over
from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.names import printable
from gpunn.data.sources.tree.dataset import FolderDataset, read_classes
from gpunn.data.sources.tree.scan import class_folders, half_folders, is_image
from gpunn.errors import DataError

WHOLE = "."
"""What the folder of the data set itself is called where it is to blame."""


def open_folder(root: bytes) -> Collection:
    """The halves train and val (or validation) of a folder, or its class folders, or the images that lie in it.

    Emits a DataWarning for what cannot be read, as `read_classes` does.
    """
    faults: dict[str, str] = {}
    halves: list[Half] = []
    with_classes: list[bytes] = []
    classless: list[bytes] = []
    folders = half_folders(root)
    if len(folders) > 2:
        faults[WHOLE] = "holds both a folder val and a folder validation; keep one of them"
    for folder in folders:
        where = os.path.join(root, folder) if folder else root
        name = _text(folder)
        try:
            dataset = _read(where)
        except DataError as error:
            faults[name or WHOLE] = str(error)
            continue
        if dataset.classes:
            with_classes.append(folder)
        else:
            classless.append(folder)
            faults[name or WHOLE] = "its images lie in no class folder; sort them into one folder a class"
        halves.append(Half("validation" if folder == b"val" else name, dataset, f"{name}/" if name else ""))
        faults.update(_empty_classes(where, halves[-1]))
    faults.update(_missing_classes(halves))
    faults.update(_too_little(halves))
    return Collection(tuple(halves), faults, tuple(passed_over(root, with_classes, classless)))


def _read(folder: bytes) -> FolderDataset:
    """The images of its class folders; where those hold none, the images beside them."""
    loose = _loose_images(folder)
    if class_folders(folder):
        dataset = read_classes(os.fsdecode(folder), keep_empty_classes=True)
        return loose if len(dataset) == 0 and len(loose) else dataset
    if len(loose) == 0:
        raise DataError(f"'{printable(folder)}' holds neither class folders nor images; give each class a folder")
    return loose


def _loose_images(folder: bytes) -> FolderDataset:
    """The images directly in a folder, which are of no class."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(b".") and not entry.is_dir()]
    except OSError as error:
        raise DataError(f"folder '{printable(folder)}' cannot be read: {error.strerror}") from error
    images = sorted(filter(is_image, names))
    return FolderDataset(folder, ByteStrings.of(images), np.zeros(len(images), np.int32), ())


def _empty_classes(folder: bytes, half: Half) -> Iterator[tuple[str, str]]:
    if not half.dataset.classes:
        return
    for name, count in zip(class_folders(folder), half.class_counts(), strict=True):
        if count == 0:
            yield half.folder + _text(name), "no images in this class folder; fill or remove it"


def _missing_classes(halves: list[Half]) -> Iterator[tuple[str, str]]:
    """Classes that one half has and another has not."""
    for half in halves:
        for other in halves:
            for name in other.dataset.classes:
                if half.dataset.classes and name not in set(half.dataset.classes):
                    place = other.folder.removesuffix("/")
                    yield half.folder + name, f"there is no such class folder, and there is one in {place}"


def _too_little(halves: list[Half]) -> Iterator[tuple[str, str]]:
    for half in halves[:1]:
        learnt = np.unique(half.dataset.labels)
        if half.dataset.classes and learnt.size == 1:
            only = half.dataset.classes[int(learnt[0])]
            place = half.folder.removesuffix("/") or WHOLE
            yield place, f"all images belong to one class, '{only}'; training needs images of at least two"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
