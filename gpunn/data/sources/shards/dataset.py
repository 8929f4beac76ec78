"""Labelled pictures in tar shards of WebDataset's layout, read where they lie in the shards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cache import CacheFiles, cache_folder
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import content_hash
from gpunn.data.decoding.decode import decode_rgb
from gpunn.data.decoding.file import MAXIMUM_BYTES
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.data.sources.class_names import class_names
from gpunn.data.sources.halves import Halves
from gpunn.data.sources.labels import check_range
from gpunn.data.sources.shards.index import ShardIndex, shard_index
from gpunn.data.sources.shards.layout import find_shards
from gpunn.data.sources.shards.tar_members import open_archive
from gpunn.errors import DataError

OPEN_SHARDS = 32
"""Shards that a process keeps open: more than are read side by side in an epoch."""


class ShardDataset:
    """Pictures in tar shards, decoded to RGB each time they are loaded.

    A copy in another process opens the shards for itself.

    Args:
        root: the folder of the whole data set.
        index: what is in the shards.
        classes: printable names, by label.

    Raises:
        DataError: a label is not one of `classes`; the sample is named.
    """

    def __init__(self, root: bytes, index: ShardIndex, classes: tuple[str, ...]) -> None:
        self.root = root
        self.index = index
        self._classes = classes
        self._shards = np.repeat(np.arange(len(index.counts), dtype=np.int32), index.counts)
        self._shards.flags.writeable = False
        # Threads may be reading from a shard that has just made room for another: its last reader closes it.
        self._open = lru_cache(OPEN_SHARDS)(partial(_open_shard, root, index))
        check_range(index.labels, len(classes), self.name)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return self.index.labels

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return None, None, 3

    @property
    def shards(self) -> npt.NDArray[np.int32]:
        return self._shards

    def __len__(self) -> int:
        return len(self.index.labels)

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        try:
            return decode_rgb(self.read(index))
        except DataError as error:
            raise DataError(f"{self.name(index)}: {error}") from error

    def read(self, index: int) -> bytes:
        size = int(self.index.sizes[index])
        if size == 0:
            raise DataError("the file is empty")
        if size > MAXIMUM_BYTES:
            raise DataError(f"{size} bytes are more than the limit of {MAXIMUM_BYTES} for one picture")
        return self._open(int(self._shards[index])).read(int(self.index.offsets[index]), size)

    def name(self, index: int) -> str:
        return f"'{printable(os.path.join(self.root, self._path(index)))}'"

    def key(self, index: int) -> str:
        """SHARD/MEMBER, from the folder of the whole data set; bytes that are not UTF-8 are surrogates."""
        return self._path(index).decode("utf-8", "surrogateescape")

    def fingerprint(self) -> str:
        """SHA-256 over the classes and, for each shard, its pictures' names, labels, sizes, first and last bytes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_hash([*(name.encode("utf-8") for name in self._classes), self.index.digests.tobytes()])

    def __reduce__(self) -> tuple[type[ShardDataset], tuple[Any, ...]]:
        return ShardDataset, (self.root, self.index, self._classes)

    def _path(self, index: int) -> bytes:
        return os.path.join(self.index.paths[int(self._shards[index])], self.index.names[index])


def _open_shard(root: bytes, index: ShardIndex, shard: int) -> _OpenShard:
    return _OpenShard(os.path.join(root, index.paths[shard]), index.states[shard])


class _OpenShard:
    """A shard to read from; it is closed when nobody has it any more."""

    def __init__(self, path: bytes, state: npt.NDArray[np.int64]) -> None:
        self._path = path
        self._descriptor = open_archive(path)
        status = os.fstat(self._descriptor)
        if [status.st_size, status.st_mtime_ns] != state[1:3].tolist():
            raise DataError(f"the shard '{printable(path)}' has changed since it was looked through; begin again")

    def __del__(self) -> None:
        # Where it could not be opened there is nothing to close.
        descriptor = self.__dict__.pop("_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there.

        Raises:
            DataError: they cannot be read.
        """
        try:
            content = os.pread(self._descriptor, size, offset)
            while len(content) < size:
                more = os.pread(self._descriptor, size - len(content), offset + len(content))
                if not more:
                    raise DataError(f"the shard '{printable(self._path)}' ends before byte {offset + size}")
                content += more
        except OSError as error:
            raise DataError(f"the shard '{printable(self._path)}': {error.strerror}") from error
        return content


def read_shards(path: Path) -> Halves:
    """The data set in the shards of a folder, or in one shard.

    The classes are the lines of `classes.txt` beside the shards, or "0", "1", ... up to the largest label.

    Raises:
        DataError: a shard is refused, there are no labelled pictures, or a label has no class.
    """
    raw = os.fsencode(path)
    source = f"'{printable(raw)}'"
    root, name = (raw, b"") if path.is_dir() else os.path.split(raw)
    found = {"undivided": [name]} if name else find_shards(root)
    cache = SourceCache(raw, CacheFiles(cache_folder("data")))
    indices = {half: shard_index(root, shards, half, cache) for half, shards in found.items()}
    empty = [half for half, index in indices.items() if not len(index.labels)]
    if empty:
        raise DataError(
            f"{source}: its {' and '.join(empty)} shards hold no labelled pictures; a sample is KEY.jpg with KEY.cls "
            'beside it, or KEY.json with a "label"'
        )
    learnt = next(indices[half] for half in ("train", "undivided", "validation") if half in indices)
    classes = class_names(Path(os.fsdecode(root)), learnt.labels)
    halves = {half: ShardDataset(root, index, classes) for half, index in indices.items()}
    return Halves(
        source, halves.get("train"), halves.get("validation"), halves.get("undivided"), Augmentation.for_photographs()
    )
