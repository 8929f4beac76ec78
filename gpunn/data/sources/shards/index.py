"""What is in many tar shards: each is read once, and again only when it has changed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import DataWarning
from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.keeping.file_state import file_state, is_settled, status_of
from gpunn.data.keeping.in_threads import progress
from gpunn.data.keeping.kept_arrays import KeptArrays, map_kept
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.data.sources.shards.scan import ShardSamples, scan_shard
from gpunn.errors import DataError


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """The samples of S shards, shard by shard, in each in the order of their pictures.

    Attributes:
        paths: of the shards, relative to a root.
        states: int64, (S, 4), what `file_state` told of each shard when it was read.
        counts: int64, (S,), samples of each shard.
        digests: uint8, (S, 32), of the samples of each shard.
        offsets: int64, (N,), the first byte of each picture in its shard.
        sizes: int64, (N,), in bytes.
        labels: int32, (N,).
        names: of the pictures in their shards.
        kept: the file of the cache that all of this is mapped from; None where it lies in this process alone.
    """

    paths: ByteStrings
    states: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    names: ByteStrings
    kept: KeptArrays | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the name of the file that the index is kept in, if it is, instead of the arrays."""
        if self.kept is not None and self.kept.in_place():
            return map_shard_index, (self.kept.path, self.kept.digest)
        return ShardIndex, (
            self.paths,
            self.states,
            self.counts,
            self.digests,
            self.offsets,
            self.sizes,
            self.labels,
            self.names,
        )


def shard_index(root: bytes, paths: Sequence[bytes], what: str, cache: SourceCache) -> ShardIndex:
    """What is in the shards `paths` of `root`. What is passed over is told each time, as a DataWarning.

    Args:
        root: the folder of the whole data set.
        paths: of the shards, relative to it.
        what: these shards' name among those of the data set.
        cache: of the data set. What was kept of a shard is good while the shard has the same size, times and inode.

    Raises:
        DataError: a shard is refused, as `scan_shard` says.
    """
    statuses = [status_of(os.path.join(root, path)) for path in paths]
    keys = [(path, file_state(status)) for path, status in zip(paths, statuses, strict=True)]
    kept = cache.read(f"{what}-shards")
    if kept is not None and _keys(kept) == keys:
        _warn(chain.from_iterable(_passed_over(kept)))
        return _mapped(kept)
    known = {} if kept is None else dict(zip(_keys(kept), _samples(kept), strict=True))
    found = []
    with progress(f"reading the shards in '{printable(root)}'", len(paths)) as bar:
        for key in keys:
            found.append(known.get(key) or scan_shard(os.path.join(root, key[0])))
            bar.update()
    _warn(chain.from_iterable(samples.passed_over for samples in found))
    arrays = _arrays(keys, found)
    # What changed a moment ago may change again without a difference in its times.
    is_lasting = all(is_settled(status) for status in statuses)
    written = cache.keep(f"{what}-shards", len(arrays["labels"]), arrays) if is_lasting else None
    return _index(arrays) if written is None else _mapped(written)


def map_shard_index(path: Path, digest: bytes) -> ShardIndex:
    """The index in a file of the cache that another process has read.

    Raises:
        DataError: it is not there any more.
    """
    kept = map_kept(path, digest)
    if kept is None:
        raise DataError(f"'{printable(path)}' was removed from the cache while it was in use; begin again")
    return _mapped(kept)


_Key = tuple[bytes, tuple[int, ...]]


def _arrays(keys: Sequence[_Key], found: Sequence[ShardSamples]) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "states": np.array([state for _, state in keys], np.int64),
        "counts": np.array([len(samples.labels) for samples in found], np.int64),
        "digests": np.frombuffer(b"".join(samples.digest for samples in found), np.uint8).reshape(len(found), -1),
        "offsets": np.concatenate([samples.offsets for samples in found]),
        "sizes": np.concatenate([samples.sizes for samples in found]),
        "labels": np.concatenate([samples.labels for samples in found]),
    }
    tables = {
        "paths": ByteStrings.of(path for path, _ in keys),
        "names": ByteStrings.of(chain.from_iterable(samples.names for samples in found)),
        "passed_over": ByteStrings.of("\n".join(samples.passed_over).encode("utf-8") for samples in found),
    }
    for name, table in tables.items():
        arrays |= {name: table.content, f"{name}.offsets": table.offsets}
    return arrays


def _mapped(kept: KeptArrays) -> ShardIndex:
    return _index(kept.arrays, kept)


def _index(arrays: Mapping[str, npt.NDArray[Any]], kept: KeptArrays | None = None) -> ShardIndex:
    return ShardIndex(
        _strings(arrays, "paths"),
        arrays["states"],
        arrays["counts"],
        arrays["digests"],
        arrays["offsets"],
        arrays["sizes"],
        arrays["labels"],
        _strings(arrays, "names"),
        kept,
    )


def _keys(kept: KeptArrays) -> list[_Key]:
    return list(zip(_strings(kept.arrays, "paths"), map(tuple, kept.arrays["states"].tolist()), strict=True))


def _passed_over(kept: KeptArrays) -> Iterator[tuple[str, ...]]:
    return (tuple(text.decode("utf-8").splitlines()) for text in _strings(kept.arrays, "passed_over"))


def _samples(kept: KeptArrays) -> Iterator[ShardSamples]:
    """What was kept of each shard."""
    index = _mapped(kept)
    ends = np.cumsum(index.counts).tolist()
    for count, last, digest, passed_over in zip(
        index.counts.tolist(), ends, index.digests, _passed_over(kept), strict=True
    ):
        first = last - count
        yield ShardSamples(
            index.offsets[first:last],
            index.sizes[first:last],
            index.labels[first:last],
            index.names.part(first, last),
            digest.tobytes(),
            passed_over,
        )


def _warn(passed_over: Iterable[str]) -> None:
    for text in passed_over:
        warnings.warn(f"{text}; they are passed over", DataWarning, stacklevel=2)


def _strings(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> ByteStrings:
    return ByteStrings(arrays[name], arrays[f"{name}.offsets"])
