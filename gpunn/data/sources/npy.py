"""Arrays in .npy files, mapped into memory: what does not fit into memory is read as it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cache import CacheFiles, cache_folder
from gpunn.data.dataset import content_hash
from gpunn.data.keeping.file_state import file_state, is_settled, status_of
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.class_names import class_names
from gpunn.data.sources.halves import Halves
from gpunn.errors import DataError

LAYOUT = ".npy files train_images.npy and train_labels.npy, and the same of validation"
_HALVES = ("train", "validation")


class MappedDataset(ArrayDataset):
    """Pictures of one size in an .npy file; a copy of the object in another process maps the same file.

    Args:
        path: of the images.
        labels: as `ArrayDataset` takes them.
        classes: as `ArrayDataset` takes them.

    Raises:
        DataError: the file cannot be mapped, or as `ArrayDataset`.
    """

    def __init__(self, path: Path, labels: npt.NDArray[Any], classes: tuple[str, ...]) -> None:
        super().__init__(_map(path), labels, classes, f"'{printable(path)}'")
        self._path = path

    def fingerprint(self) -> str:
        """As that of arrays in memory; kept for as long as the file is as it was, since all of it has to be read.

        Raises:
            DataError: the file is gone.
        """
        status = status_of(os.fsencode(self._path))
        state = np.array(file_state(status), np.int64)
        key = content_hash([state.tobytes(), self.labels.tobytes(), *(name.encode("utf-8") for name in self.classes)])
        cache = SourceCache(os.fsencode(self._path), CacheFiles(cache_folder("data")))
        kept = cache.read("fingerprint")
        if kept is not None and kept.arrays["key"].tobytes() == bytes.fromhex(key):
            return kept.arrays["fingerprint"].tobytes().hex()
        is_lasting = is_settled(status)
        fingerprint = super().fingerprint()
        if is_lasting:
            values = {"key": key, "fingerprint": fingerprint}
            arrays = {name: np.frombuffer(bytes.fromhex(value), np.uint8) for name, value in values.items()}
            cache.keep("fingerprint", len(self), arrays)
        return fingerprint

    def __reduce__(self) -> tuple[Callable[..., MappedDataset], tuple[Any, ...]]:
        return MappedDataset, (self._path, self.labels, self.classes)


def is_npy(path: Path) -> bool:
    """Whether it is a folder with one of the files."""
    return path.is_dir() and any((path / f"{half}_images.npy").is_file() for half in _HALVES)


def read_npy_folder(path: Path) -> Halves:
    """The data set in the .npy files of a folder; nothing is unpickled.

    Raises:
        DataError: a file is missing, cannot be mapped, or as `ArrayDataset`.
    """
    present = [half for half in _HALVES if (path / f"{half}_images.npy").is_file()]
    labels = {half: np.array(_map(path / f"{half}_labels.npy")) for half in present}
    classes = class_names(path, labels[present[0]])
    halves = {half: MappedDataset(path / f"{half}_images.npy", labels[half], classes) for half in present}
    return Halves(f"'{printable(path)}'", halves.get("train"), halves.get("validation"))


def _map(path: Path) -> npt.NDArray[Any]:
    source = f"'{printable(path)}'"
    if not path.is_file():
        raise DataError(f"{source} is missing; accepted are {LAYOUT}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{source} is not a readable .npy file: {printable(str(error))}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{source} is an .npz file; give an .npy file of one array")
    return np.asarray(array)
