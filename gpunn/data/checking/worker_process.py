"""The process that reads pictures for a check, and may die of one.

It is told what to read through a connection, and answers with one `Finding` for each picture, in order, so whoever
asked knows which picture it was at when it died.
"""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing.connection import Connection

from gpunn.data.checking.examination import examine_file
from gpunn.data.decoding.by_name import decoder


def main(descriptor: int) -> None:
    """Serve the connection with this file descriptor until its other end is closed."""
    # Whoever asked may be killed at any moment, also before this process is ready.
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        dataset, decoder_name = connection.recv()
        reader = decoder(decoder_name)
        connection.send(None)
        _silence()
        while True:
            for index in connection.recv():
                connection.send(examine_file(dataset, reader, index))


def _silence() -> None:
    """Decoders' libraries write of damaged files to the standard error, without a name; the finding has one."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
