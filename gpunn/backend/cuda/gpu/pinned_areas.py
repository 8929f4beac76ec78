"""Memory of the host that is page-locked in place, so that the GPU reads it by itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.errors import DeviceError, MemoryExhaustedError

#: cudaHostRegisterDefault.
_DEFAULT = 0


class PinnedAreas:
    """Arrays that stay where they are until they are removed.

    (CUDA Runtime API, memory management, cudaHostRegister: the address may be any, the system locks whole pages.)

    Args:
        gpu: that reads them.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        # Memory that is unmapped while it is locked would give the GPU pages that are no longer behind its addresses.
        self._arrays: dict[int, np.ndarray[Any, Any]] = {}

    def add(self, host: np.ndarray[Any, Any]) -> bool:
        """Lock a contiguous array; False where CUDA refuses, as for memory that is locked already."""
        address = host.ctypes.data
        try:
            with self._gpu.at_work("page-locking memory"):
                self._gpu.cupy.cuda.runtime.hostRegister(address, host.nbytes, _DEFAULT)
        except (DeviceError, MemoryExhaustedError):
            return False
        self._arrays[address] = host
        return True

    def remove(self, host: np.ndarray[Any, Any]) -> None:
        """Unlock an array that nothing is being copied from; one that is not there is left alone."""
        address = host.ctypes.data
        if self._arrays.pop(address, None) is None:
            return
        with suppress(DeviceError, MemoryExhaustedError), self._gpu.at_work("unlocking memory"):
            self._gpu.cupy.cuda.runtime.hostUnregister(address)

    def holds(self, host: np.ndarray[Any, Any]) -> bool:
        """Whether a contiguous array lies in one of them."""
        address = host.ctypes.data
        return any(
            start <= address and address + host.nbytes <= start + locked.nbytes
            for start, locked in self._arrays.items()
        )
