"""Whether a file is what it was when it was looked at before, by what the file system tells of it."""

from __future__ import annotations

import os
from time import time_ns

from gpunn.data.names import printable
from gpunn.errors import DataError

SETTLING_NANOSECONDS = 3_000_000_000
"""What changed less than this before it was looked at may change again without its times telling: the clocks of file
systems go in steps of up to two seconds."""


def status_of(path: bytes) -> os.stat_result:
    """What the file system tells of a file, or of what a link leads to.

    Raises:
        DataError: it is gone, or cannot be looked at.
    """
    try:
        return os.stat(path)
    except OSError as error:
        raise DataError(f"'{printable(path)}': {error.strerror}") from error


def file_state(status: os.stat_result) -> tuple[int, int, int, int]:
    """Numbers of which one changes when the content of a file does.

    The device is left out: its number may be another one after each mount.
    """
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def is_settled(status: os.stat_result) -> bool:
    """Whether this has been as it is for so long that its next change will show in its times."""
    return status.st_ctime_ns < time_ns() - SETTLING_NANOSECONDS
