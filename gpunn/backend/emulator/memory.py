"""The emulator's device memory: NumPy arrays of this process."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpunn.backend.contract import Array, DType, Memory, nothing
from gpunn.backend.cuda.launching.device_memory import ALIGNMENT
from gpunn.backend.sizes import describe_bytes
from gpunn.errors import MemoryExhaustedError
from gpunn.geometry import Shape


class HostMemory:
    """Memory that the emulated kernels reach directly.

    Args:
        limit: bytes that it gives at most, as a GPU would; None has the limits of the machine.
    """

    array_type = "numpy.ndarray"

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._given = 0

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero, aligned as a GPU's memory would be.

        Raises:
            MemoryExhaustedError: when they would pass the limit, or the machine has not that much.
        """
        free = self.free_bytes()
        if free is not None and size > free:
            raise MemoryExhaustedError(
                f"the emulator cannot give {describe_bytes(size)}: {describe_bytes(free)} of "
                f"{describe_bytes(self._limit or 0)} are free; use a smaller batch"
            )
        try:
            memory = np.zeros(size + ALIGNMENT, np.uint8)
        except MemoryError:
            raise MemoryExhaustedError(
                f"the emulator cannot give {describe_bytes(size)}, which this machine has not free; use a smaller batch"
            ) from None
        self._given += size
        weakref.finalize(memory, self._take_back, size)
        start = -memory.ctypes.data % ALIGNMENT
        return memory[start : start + size]

    def free_bytes(self) -> int | None:
        """What is left of the limit; None when there is no limit."""
        return None if self._limit is None else self._limit - self._given

    def _take_back(self, size: int) -> None:
        self._given -= size

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType) -> Array:
        """An array of that shape, row by row, `offset` bytes into the memory."""
        return memory[offset : offset + prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def owns(self, value: Any) -> bool:
        """Every NumPy array lies in memory that the emulator reaches."""
        return isinstance(value, np.ndarray)

    def is_writable(self, array: Array) -> bool:
        """Whether NumPy allows it."""
        return bool(array.flags.writeable)

    def address(self, array: Array) -> int:
        """Where its first element lies."""
        return int(array.ctypes.data)

    def copy(self, y: Array, x: Array) -> None:
        """y = x; y may be x."""
        np.copyto(y, x)

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy values in."""
        np.copyto(array, host)

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Nothing to gain: values are copied in by the caller itself."""
        return nothing

    def copied(self) -> Callable[[], None]:
        """Nothing to wait for: `upload` returns when it is done."""
        return nothing

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A contiguous copy."""
        return np.array(array, order="C")

    def synchronize(self) -> None:
        """Nothing to wait for: a launch returns when it has ended."""
