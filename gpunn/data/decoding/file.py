"""The bytes of an image file."""

from __future__ import annotations

import os
import stat

from gpunn.errors import DataError

MAXIMUM_BYTES = 1 << 29
"""A larger file is refused before memory is taken for it."""


def read_file(path: str | bytes | os.PathLike[str]) -> bytes:
    """What is in a file.

    Raises:
        DataError: it is missing, empty, no regular file, too large, or cannot be read; the text tells why, not which.
    """
    try:
        # Opening a FIFO would wait for a writer.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise DataError("not a regular file")
        if status.st_size == 0:
            raise DataError("the file is empty")
        if status.st_size > MAXIMUM_BYTES:
            raise DataError(f"{status.st_size} bytes are more than the limit of {MAXIMUM_BYTES} for one picture")
        with open(path, "rb", buffering=0) as stream:
            return stream.readall()
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error
