"""Files that are whole at every moment: written aside, flushed to the disk, then renamed over the old one.

A process that is killed, a full disk or a power cut leaves the old file or the new one, and at worst a temporary
beside it. Functions here raise plain OSError; `write_failure` turns one into an error that a person can act on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpunn.errors import CheckpointError

TEMPORARY_SUFFIX = ".tmp"

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_LINKS_UNSUPPORTED = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

_COPY_BYTES = 1 << 20


def replace_file(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write the pieces, one after another, as the new content of `path`, durably.

    Raises:
        OSError: when a step fails; the old file is intact and the temporary removed.
    """
    aside = temporary_beside(path)
    write_new_file(aside, pieces)
    move_over(aside, path)
    flush_folder(path.parent)


def append_to_file(path: Path, piece: bytes) -> None:
    """Add the piece at the end of `path` and flush it to the disk; the file is made when it is not there.

    Raises:
        OSError: when a step fails; no part of the piece stays behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        try:
            write_all(descriptor, piece)
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A fresh hidden name in the folder of `path`, so that renaming never crosses a file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def write_new_file(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Create `path`, write the pieces and flush them to the disk; on any failure the file is removed again.

    Raises:
        OSError: when the file exists already, or a step fails.
    """
    with new_file(path) as descriptor:
        for piece in pieces:
            write_all(descriptor, piece)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Create `path` and give a descriptor to write with; flushed to the disk at the end, removed on any failure.

    Raises:
        OSError: when the file exists already, or a step fails.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        remove_if_there(path)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Give the content of `source` the new name `target`: a hard link where the file system knows them, else a copy.

    Raises:
        OSError: when neither works.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _LINKS_UNSUPPORTED:
            raise
        with source.open("rb") as file:
            write_new_file(target, iter(lambda: file.read(_COPY_BYTES), b""))


def move_over(source: Path, target: Path) -> None:
    """Rename, replacing the target in one step; when that fails, `source` is removed.

    Raises:
        OSError: when it fails; the target is intact.
    """
    try:
        os.replace(source, target)
    except BaseException:
        remove_if_there(source)
        raise


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, as fsync of a file does for its bytes.

    Raises:
        OSError: when the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no fsync for folders and say so with this error.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def remove_if_there(path: Path) -> None:
    """Remove a temporary, without hiding the error that led here."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def write_failure(path: Path, error: OSError) -> CheckpointError:
    """The error to raise when a file of a run could not be written: the reason, and what to do."""
    return CheckpointError(describe_write_failure(path, error, "another folder with --out"))


def describe_write_failure(path: Path, error: OSError, elsewhere: str) -> str:
    """Why `path` could not be written, and what to do, such as to give `elsewhere`."""
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        remedy = f"free some space there or give {elsewhere}"
    elif error.errno in _FORBIDDEN:
        remedy = f"make the folder writable or give {elsewhere}"
    elif error.errno in {errno.ENOENT, errno.ENOTDIR}:
        remedy = f"its folder is not there; create it, or give {elsewhere}"
    else:
        remedy = f"the disk may be failing; look at the system's log, or give {elsewhere}"
    return f"cannot write {str(path)!r}: {reason}; no file was left half written; {remedy}"


def write_all(descriptor: int, piece: bytes | memoryview) -> None:
    """Write all of the piece; one call of the system may take only a part.

    Raises:
        OSError: when the disk refuses.
    """
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
