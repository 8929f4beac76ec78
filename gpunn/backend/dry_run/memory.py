"""Device memory that has addresses and no pages: the arrays of a large GPU, on a machine that could not hold them."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpunn.backend.contract import Array, DType, Memory, nothing
from gpunn.backend.sizes import describe_bytes
from gpunn.errors import DeviceError, MemoryExhaustedError
from gpunn.geometry import Shape


class UnbackedMemory:
    """Read-only mappings, which take no memory as long as nobody reads them; a write is an error of NumPy.

    Attributes:
        allocated_bytes: of all pieces that were given.
    """

    array_type = "numpy.ndarray"

    def __init__(self) -> None:
        self.allocated_bytes = 0

    def allocate(self, size: int) -> Memory:
        """`size` bytes of addresses, aligned as pages are.

        Raises:
            MemoryExhaustedError: when the process may not have so many addresses.
        """
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        try:
            mapping = mmap.mmap(-1, max(size, 1), flags=flags, prot=mmap.PROT_READ)
        except OSError as error:
            raise MemoryExhaustedError(
                f"this process may not have {describe_bytes(size)} of addresses ({error.strerror}); raise ulimit -v, "
                "or use a smaller batch"
            ) from None
        self.allocated_bytes += size
        return np.frombuffer(mapping, np.uint8)[:size]

    def free_bytes(self) -> int | None:
        """Nobody knows."""
        return None

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType) -> Array:
        """An array of that shape, row by row, `offset` bytes into the memory."""
        return memory[offset : offset + prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def owns(self, value: Any) -> bool:
        """Any NumPy array."""
        return isinstance(value, np.ndarray)

    def is_writable(self, array: Array) -> bool:
        """Kernels that never run may."""
        return True

    def address(self, array: Array) -> int:
        """Where its first element would lie."""
        return int(array.ctypes.data)

    def copy(self, y: Array, x: Array) -> None:
        """Nothing: there are no values."""

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Nothing: values are not kept."""

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Nothing to gain."""
        return nothing

    def copied(self) -> Callable[[], None]:
        """Nothing to wait for."""
        return nothing

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """Not possible.

        Raises:
            DeviceError: always.
        """
        raise DeviceError("a dry run has no values to download; use the emulator to compute without a GPU")

    def synchronize(self) -> None:
        """Nothing to wait for."""
