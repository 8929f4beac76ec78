"""Page-locked memory of the host, through which copies to the GPU go without waiting for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.cuda.gpu.gpu import Gpu

#: Bytes of each half: several batches of photographs.
HALF_BYTES = 64 * 2**20
#: Arrays in it start at a multiple of this many bytes.
_ALIGNMENT = 64


class Staging:
    """Two halves: one is filled from its start while the GPU may still read the other."""

    def __init__(self, gpu: Gpu, half_bytes: int = HALF_BYTES) -> None:
        self._gpu = gpu
        self._half_bytes = half_bytes
        self._halves: list[np.ndarray[Any, Any]] = []
        self._read: list[Any] = []
        self._current = 0
        self._used = 0

    def place(self, size: int) -> np.ndarray[Any, Any] | None:
        """`size` bytes that the next copy on the GPU's stream may read; None when a half has not that many.

        They hold their values until that copy is done, even if the host places more in the meantime.
        """
        if size > self._half_bytes:
            return None
        if not self._halves:
            self._allocate()
        if self._used + size > self._half_bytes:
            self._read[self._current].record(self._gpu.stream)
            self._current = 1 - self._current
            self._used = 0
            self._read[self._current].synchronize()
        start = self._used
        self._used += -(-size // _ALIGNMENT) * _ALIGNMENT
        return self._halves[self._current][start : start + size]

    def _allocate(self) -> None:
        cuda = self._gpu.cupy.cuda
        for _ in range(2):
            memory = cuda.alloc_pinned_memory(self._half_bytes)
            self._halves.append(np.frombuffer(memory, np.uint8, self._half_bytes))
            self._read.append(cuda.Event(disable_timing=True))
