"""Memory that worker processes share: files without a name that exist in memory only, so none is ever left behind.

(memfd_create of Linux; /dev/shm, which containers often make small, is not needed.)
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from io import BytesIO
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.arena import align

_ALIGNMENT = 64


class MemoryFile:
    """Bytes, zeros at first, that last as long as they are open or mapped somewhere.

    Attributes:
        descriptor: what another process maps.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self.descriptor = os.memfd_create("gpunn-loader")
        self._close = weakref.finalize(self, os.close, self.descriptor)
        os.truncate(self.descriptor, size)

    def close(self) -> None:
        """Nobody needs the descriptor any more."""
        self._close()


def mapped(descriptor: int, *, writeable: bool = True) -> npt.NDArray[np.uint8]:
    """The bytes of a file in memory; they stay as long as the array is used."""
    access = mmap.ACCESS_WRITE if writeable else mmap.ACCESS_READ
    return np.frombuffer(mmap.mmap(descriptor, 0, access=access), np.uint8)


def packed(value: Any) -> MemoryFile:
    """A value for other processes, pickled once; they share its arrays instead of copying them, and only read them.

    Raises:
        Exception: whatever pickling raises; also where the value's classes or functions are those of the program that
            was started, which another process cannot import.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    table = np.array([len(parts), *map(len, parts)], np.int64)
    offsets = _offsets(table)
    file = MemoryFile(offsets[-1])
    memory = mapped(file.descriptor)
    memory[: table.nbytes] = table.view(np.uint8)
    for part, offset in zip(parts, offsets, strict=False):
        memory[offset : offset + len(part)] = part
    return file


def unpacked(descriptor: int) -> Any:
    """The value that `packed` put into the file with this descriptor."""
    memory = mapped(descriptor, writeable=False)
    table = memory[: 8 * (1 + int(memory[:8].view(np.int64)[0]))].view(np.int64)
    parts = [memory[offset : offset + size] for offset, size in zip(_offsets(table), table[1:].tolist(), strict=False)]
    return pickle.loads(parts[0].data, buffers=parts[1:])


def _offsets(table: npt.NDArray[np.int64]) -> list[int]:
    """Where each part begins, and where the last one ends."""
    offsets = [align(table.nbytes, _ALIGNMENT)]
    for size in table[1:].tolist():
        offsets.append(offsets[-1] + align(size, _ALIGNMENT))
    return offsets


class _Pickler(pickle.Pickler):
    """Pickles what another program can unpickle."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, FunctionType)) and value.__module__ == "__main__":
            raise pickle.PicklingError(f"{value.__qualname__} is defined in the program that was started")
        return NotImplemented
