"""Arrays in one file of the cache: hashed, so that damage is noticed; mapped, so that processes share the memory."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.cache import CacheFiles

MAGIC = b"gpunn arrays v1\n"
_ALIGNMENT = 64
_PREFIX = struct.Struct(f"<{len(MAGIC)}s32s")
"""What a file begins with: what it is, and the SHA-256 of all that follows."""

_LENGTH = struct.Struct("<Q")
"""Of the header in JSON that comes next; then come the arrays."""


@dataclass(frozen=True, eq=False)
class KeptArrays:
    """The arrays of one file, mapped and read-only.

    Attributes:
        path: the file; another may have been put in its place since.
        digest: SHA-256 of what it holds.
        arrays: by name.
    """

    path: Path
    digest: bytes
    arrays: Mapping[str, npt.NDArray[Any]]

    def in_place(self) -> bool:
        """Whether the file of these arrays is still where it was."""
        return _digest_of(self.path) == self.digest


def keep(files: CacheFiles, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> KeptArrays | None:
    """Write arrays into a file of the cache and map it; None where the cache cannot be written.

    The file is written aside and renamed, so that another process finds all of it or what was there before.
    """
    entries: dict[str, Any] = {}
    pieces: list[bytes] = []
    position = 0
    for key, values in arrays.items():
        content = np.ascontiguousarray(values).tobytes()
        entries[key] = {"type": values.dtype.str, "shape": values.shape, "offset": position}
        padding = -len(content) % _ALIGNMENT
        pieces += [content, bytes(padding)]
        position += len(content) + padding
    header = json.dumps(entries).encode("ascii")
    header += b" " * (-(_PREFIX.size + _LENGTH.size + len(header)) % _ALIGNMENT)
    pieces = [_LENGTH.pack(len(header)), header, *pieces]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    files.write(name, b"".join([_PREFIX.pack(MAGIC, digest.digest()), *pieces]))
    return map_kept(files.folder / name, digest.digest())


def read_kept(files: CacheFiles, name: str) -> KeptArrays | None:
    """The arrays of a file of the cache; None where there is none, or where it is damaged or of another version."""
    path = files.folder / name
    content = _map(path)
    if content is None:
        return None
    digest = hashlib.sha256(memoryview(content)[_PREFIX.size :]).digest()
    return _arrays(path, content, digest)


def map_kept(path: Path, digest: bytes) -> KeptArrays | None:
    """The arrays of a file that was found whole before; None where it is gone, or its digest is not this one."""
    content = _map(path)
    return None if content is None else _arrays(path, content, digest)


def _map(path: Path) -> mmap.mmap | None:
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None


def _digest_of(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            prefix = stream.read(_PREFIX.size)
    except OSError:
        return None
    return _PREFIX.unpack(prefix)[1] if len(prefix) == _PREFIX.size else None


def _arrays(path: Path, content: mmap.mmap, digest: bytes) -> KeptArrays | None:
    if len(content) < _PREFIX.size:
        return None
    magic, written = _PREFIX.unpack_from(content)
    if magic != MAGIC or written != digest:
        return None
    (length,) = _LENGTH.unpack_from(content, _PREFIX.size)
    header = _PREFIX.size + _LENGTH.size
    begin = header + length
    arrays = {}
    for name, entry in json.loads(content[header:begin]).items():
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(content, np.dtype(entry["type"]), count, begin + entry["offset"])
        arrays[name] = values.reshape(entry["shape"])
    return KeptArrays(path, digest, arrays)
