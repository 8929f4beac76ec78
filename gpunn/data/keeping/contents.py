"""What distinguishes the contents of many files: each is read when it is new or has changed, else only looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.keeping.file_state import file_state, is_settled, status_of
from gpunn.data.keeping.in_threads import in_threads
from gpunn.data.keeping.kept_arrays import KeptArrays
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.data.names import printable
from gpunn.errors import DataError

END_BYTES = 4096
"""How much of either end of a file its digest takes in."""

DIGEST_BYTES = 16


def file_digests(root: bytes, paths: ByteStrings, cache: SourceCache | None) -> npt.NDArray[np.uint8]:
    """BLAKE2b-128 over the size, the first and the last bytes of each file, (N, DIGEST_BYTES).

    A million whole files would take too long to read; compressed pictures that differ, differ at their ends. Digests
    are kept under a stamp of what the file system tells of a file: where its content lies, its size and its times.

    Args:
        root: of the tree.
        paths: the files, relative to `root`.
        cache: of the tree; None: every file is read, and nothing is kept.

    Raises:
        DataError: a file is gone or cannot be read.
    """
    kept = cache.read("contents") if cache else None
    digests = np.empty((len(paths), DIGEST_BYTES), np.uint8)
    stamps = np.zeros(len(paths), np.int64)
    new = np.arange(len(paths))
    if kept is not None:
        stamps = _stamps(root, paths)
        new = _look_up(kept, stamps, digests)
    settled = np.ones(len(paths), bool)
    for indices, found in _read(root, paths, new):
        stamps[indices] = [content.stamp for content in found]
        settled[indices] = [content.settled for content in found]
        digests[indices] = np.frombuffer(b"".join(content.digest for content in found), digests.dtype).reshape(
            -1, DIGEST_BYTES
        )
    if cache and settled[new].any():
        known, places = np.unique(stamps[settled], return_index=True)
        cache.keep("contents", len(paths), {"stamps": known, "digests": digests[settled][places]})
    return digests


class _Content(NamedTuple):
    stamp: int
    settled: bool
    digest: bytes


def _stamps(root: bytes, paths: ByteStrings) -> npt.NDArray[np.int64]:
    prefix = os.path.join(root, b"")

    def look(first: int, last: int) -> list[int]:
        return [_stamp(status_of(prefix + path)) for path in paths.part(first, last)]

    task = f"looking for changed files in '{printable(root)}'"
    return np.fromiter(chain.from_iterable(in_threads(len(paths), look, task)), np.int64, len(paths))


def _look_up(kept: KeptArrays, stamps: npt.NDArray[np.int64], digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Fills in the digests that are kept, and returns the indices of the others."""
    known = kept.arrays["stamps"]
    places = np.minimum(np.searchsorted(known, stamps), len(known) - 1)
    is_kept = known[places] == stamps
    digests[is_kept] = kept.arrays["digests"][places[is_kept]]
    return np.flatnonzero(~is_kept)


def _read(
    root: bytes, paths: ByteStrings, indices: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], list[_Content]]]:
    def read(first: int, last: int) -> tuple[npt.NDArray[np.int64], list[_Content]]:
        part = indices[first:last]
        return part, [_content(os.path.join(root, paths[index])) for index in part.tolist()]

    return in_threads(len(indices), read, f"reading the ends of the files in '{printable(root)}'")


def _content(path: bytes) -> _Content:
    try:
        # Opening a FIFO that has taken the place of a file would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            first = os.pread(descriptor, END_BYTES, 0)
            last = os.pread(descriptor, END_BYTES, max(0, status.st_size - END_BYTES))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"'{printable(path)}': {error.strerror}") from error
    digest = blake2b(status.st_size.to_bytes(8, "little") + first + last, digest_size=DIGEST_BYTES).digest()
    return _Content(_stamp(status), is_settled(status), digest)


def _stamp(status: os.stat_result) -> int:
    """The state of a file in one number. The hash of integers is the same in every process."""
    return hash(file_state(status))
