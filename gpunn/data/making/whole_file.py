"""A large file that appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from gpunn.data.names import printable
from gpunn.durable_files import (
    TEMPORARY_SUFFIX,
    describe_write_failure,
    flush_folder,
    move_over,
    new_file,
    remove_if_there,
    temporary_beside,
)
from gpunn.errors import UsageError


@contextlib.contextmanager
def whole_file(path: Path, size: int, *, replace: bool) -> Iterator[int]:
    """A descriptor to write a file with, which lies aside until the end and is renamed to `path` then.

    Whatever ends the process leaves no file of that name, the old one, or the whole new one. An error removes what
    was written; what a killed process left behind is removed by the next that writes a file of this name.

    Args:
        path: the file.
        size: how long it will be at most, in bytes.
        replace: let it replace another.

    Raises:
        UsageError: the file is there already, does not fit the disk, or cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"'{printable(path)}' is a folder; give the name of a file")
    if path.exists() and not replace:
        raise UsageError(f"'{printable(path)}' is there already; give another name, or --force to replace it")
    try:
        _remove_leftovers(path)
        _check_room(path, size)
        aside = temporary_beside(path)
        with new_file(aside) as descriptor:
            _mark_as_used(descriptor)
            yield descriptor
        move_over(aside, path)
        flush_folder(path.parent)
    except OSError as error:
        raise UsageError(describe_write_failure(path, error, "the name of a file elsewhere")) from error


def _check_room(path: Path, size: int) -> None:
    status = os.statvfs(path.parent)
    free = status.f_bavail * status.f_frsize
    if free < size:
        raise UsageError(
            f"'{printable(path)}' needs {size / 1e9:,.1f} GB and its disk has {free / 1e9:,.1f} GB free; free some "
            "space there, or give the name of a file elsewhere"
        )


def _remove_leftovers(path: Path) -> None:
    """Temporaries of this name whose lock nobody holds: the system releases it when a process ends in whatever way."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_if_there(leftover)
            finally:
                os.close(descriptor)


def _mark_as_used(descriptor: int) -> None:
    # Where there are no locks, leftovers are not removed either.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
