"""A file from the web, whole or not at all."""

from __future__ import annotations

import http.client
import time
import urllib.request

from gpunn.data.names import printable
from gpunn.errors import DataError

_PART = 1 << 16


def download(address: str, *, most: int, silence: float = 20.0, seconds: float = 600.0) -> bytes:
    """What lies at an address.

    Args:
        address: of http or https.
        most: bytes that there may be.
        silence: seconds without an answer after which it is given up.
        seconds: that all of it may take.

    Raises:
        DataError: it cannot be had within these bounds; the text tells why.
    """
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    try:
        with urllib.request.urlopen(address, timeout=silence) as answer:
            while part := answer.read1(_PART):
                parts.append(part)
                size += len(part)
                if size > most:
                    raise DataError(f"{address} sends more than {most} bytes")
                if time.monotonic() > deadline:
                    raise DataError(f"{address} has sent {size} bytes in {seconds:g} seconds and not all")
            announced = answer.headers["Content-Length"]
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{address} cannot be read: {printable(str(error) or type(error).__name__)}") from error
    if announced is not None and announced.isdecimal() and size != int(announced):
        raise DataError(f"{address} was cut off after {size} of {announced} bytes")
    return b"".join(parts)
