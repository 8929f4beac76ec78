"""Image files that lie side by side in a folder, without classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import content_hash
from gpunn.data.decoding.decode import decode
from gpunn.data.decoding.file import read_file
from gpunn.data.names import printable
from gpunn.data.sources.tree import SUFFIXES
from gpunn.errors import DataError


class LooseImages:
    """The image files directly in a folder, sorted by the bytes of their names. They can be checked, not learnt.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._names = sorted(name for name in _files(folder) if os.path.splitext(name)[1].lower() in SUFFIXES)

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return np.zeros(len(self), np.int32)

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return None, None, 3

    @property
    def shards(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._names)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        return decode(self._path(index))

    def read(self, index: int) -> bytes:
        return read_file(self._path(index))

    def name(self, index: int) -> str:
        return f"'{printable(self._path(index))}'"

    def key(self, index: int) -> str:
        """The name of a file; bytes that are not UTF-8 are surrogates."""
        return self._names[index].decode("utf-8", "surrogateescape")

    def fingerprint(self) -> str:
        return content_hash(part for index, name in enumerate(self._names) for part in (name, self.read(index)))

    def _path(self, index: int) -> bytes:
        return os.path.join(self._folder, self._names[index])


def _files(folder: bytes) -> list[bytes]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(b".") and not entry.is_dir()]
    except OSError as error:
        raise DataError(f"folder '{printable(folder)}' cannot be read: {error.strerror}") from error
