"""What the CUDA backend asks of a device's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from gpunn.backend.contract import Array, DType, Memory
from gpunn.geometry import Shape

#: Arrays start at a multiple of this many bytes, as cudaMalloc's do.
ALIGNMENT = 256


class DeviceMemory(Protocol):
    """The memory of a GPU, or of the emulator."""

    @property
    def array_type(self) -> str:
        """What its arrays are called in an error."""

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero.

        Raises:
            MemoryExhaustedError: when the device has not that much.
        """

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType) -> Array:
        """An array of that shape, row by row, `offset` bytes into the memory."""

    def owns(self, value: Any) -> bool:
        """Whether it is an array of this memory."""

    def is_writable(self, array: Array) -> bool:
        """Whether kernels may write it."""

    def address(self, array: Array) -> int:
        """Where its first element lies."""

    def free_bytes(self) -> int | None:
        """What `allocate` can still give; None when nobody knows."""

    def copy(self, y: Array, x: Array) -> None:
        """y = x, both on the device."""

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy values in."""

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """As `Device.pin`."""

    def copied(self) -> Callable[[], None]:
        """As `Device.copied`."""

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A contiguous copy on the host."""

    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""
