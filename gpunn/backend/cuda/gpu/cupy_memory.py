"""The memory of a GPU through CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpunn.backend.contract import Array, DType, Memory, nothing
from gpunn.backend.cuda.gpu.copy_stream import CopyStream
from gpunn.backend.cuda.gpu.gpu import OUT_OF_MEMORY, Gpu
from gpunn.backend.cuda.gpu.pinned_areas import PinnedAreas
from gpunn.backend.cuda.gpu.staging import Staging
from gpunn.backend.cuda.launching.arguments import channel_pitch
from gpunn.backend.sizes import describe_bytes
from gpunn.errors import MemoryExhaustedError, UsageError
from gpunn.geometry import Shape

#: Bytes of an array from which on the GPU itself reads it where it was pinned; copying less costs the host hardly more
#: than telling the GPU to.
LARGE = 256 * 2**10


class CupyMemory:
    """Arrays are cupy.ndarray; all copies take effect in order with the kernels of the GPU's stream.

    Args:
        gpu: whose memory.
        staging: what uploads go through; one of its own by default.
    """

    array_type = "cupy.ndarray"

    def __init__(self, gpu: Gpu, staging: Staging | None = None) -> None:
        self._gpu = gpu
        self._staging = staging or Staging(gpu)
        self._pinned = PinnedAreas(gpu)
        self._copy_stream = CopyStream(gpu)

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero. They are the program's own, not of CuPy's pool: what is free is then known.

        Raises:
            MemoryExhaustedError: with the bytes that are free.
        """
        cupy, cuda = self._gpu.cupy, self._gpu.cupy.cuda
        with self._gpu.at_work("allocating memory"):
            try:
                start = cuda.MemoryPointer(cuda.Memory(size), 0)
            except cuda.runtime.CUDARuntimeError as error:
                if error.status != OUT_OF_MEMORY:
                    raise
                free, total = cuda.runtime.memGetInfo()
                raise MemoryExhaustedError(
                    f"{self._gpu.name} cannot give {describe_bytes(size)}: {describe_bytes(free)} of "
                    f"{describe_bytes(total)} are free; use a smaller batch"
                ) from None
            if size:
                start.memset_async(0, size, self._gpu.stream)
            return cupy.ndarray((size,), np.uint8, start)

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType) -> Array:
        """An array of that shape, row by row, `offset` bytes into the memory."""
        return self._gpu.cupy.ndarray(shape, dtype, memory.data + offset)

    def owns(self, value: Any) -> bool:
        """Whether it is an array on this GPU."""
        return isinstance(value, self._gpu.cupy.ndarray) and value.data.device_id == self._gpu.number

    def is_writable(self, array: Array) -> bool:
        """Always: CuPy has no arrays that are read-only."""
        return True

    def address(self, array: Array) -> int:
        """Where its first element lies."""
        return int(array.data.ptr)

    def free_bytes(self) -> int:
        """What the GPU can still give."""
        with self._gpu.at_work("asking for its memory"):
            free, _ = self._gpu.cupy.cuda.runtime.memGetInfo()
            return int(free)

    def copy(self, y: Array, x: Array) -> None:
        """y = x.

        Raises:
            UsageError: when shapes or types differ.
        """
        if (y.shape, y.dtype) != (x.shape, x.dtype):
            raise UsageError(f"copy: y is {y.dtype} of shape {y.shape}, x is {x.dtype} of shape {x.shape}")
        self._transfer(_Side.on_gpu(y), _Side.on_gpu(x), self._gpu.cupy.cuda.runtime.memcpyDeviceToDevice)

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy values in; the host array may change as soon as this returns, unless it was pinned."""
        size = array.size * array.dtype.itemsize
        if size >= LARGE and _is_alike(array, host) and self._pinned.holds(host):
            self._copy_stream.start(self.address(array), host.ctypes.data, size)
            return
        with self._gpu.at_work("preparing a copy"):
            staged = self._staging.place(size)
        bytes_ = np.empty(size, np.uint8) if staged is None else staged
        ordered = bytes_.view(array.dtype).reshape(array.shape)
        np.copyto(ordered, host)
        self._transfer(_Side.on_gpu(array), _Side.on_host(ordered), self._gpu.cupy.cuda.runtime.memcpyHostToDevice)
        if staged is None:
            # Where a GPU reads all memory of the host, the copy may still be reading this when the call returns.
            self.synchronize()

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Page-lock a contiguous array in place; the result undoes it."""
        if not self._pinned.add(host):
            return nothing

        def unpin() -> None:
            self.copied()()
            self._pinned.remove(host)

        return unpin

    def copied(self) -> Callable[[], None]:
        """A function that waits until the GPU has read what was uploaded so far from pinned memory."""
        return self._copy_stream.copied

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A contiguous copy on the host; this waits for the GPU."""
        host = np.empty(array.shape, array.dtype)
        self._transfer(_Side.on_host(host), _Side.on_gpu(array), self._gpu.cupy.cuda.runtime.memcpyDeviceToHost)
        self.synchronize()
        return host

    def synchronize(self) -> None:
        """Wait until everything on the stream has ended."""
        with self._gpu.at_work("waiting for it"):
            self._gpu.stream.synchronize()

    def _transfer(self, target: _Side, source: _Side, kind: int) -> None:
        runtime, stream = self._gpu.cupy.cuda.runtime, self._gpu.stream.ptr
        if source.size == 0:
            return
        with self._gpu.at_work("copying"):
            if target.is_dense and source.is_dense:
                runtime.memcpyAsync(target.address, source.address, source.size, kind, stream)
                return
            runtime.memcpy2DAsync(
                target.address, target.pitch, source.address, source.pitch, source.width, source.height, kind, stream
            )


def _is_alike(array: Array, host: np.ndarray[Any, Any]) -> bool:
    """Whether both hold the same bytes in the same order."""
    return (
        (array.shape, array.dtype) == (host.shape, host.dtype)
        and bool(array.flags.c_contiguous)
        and host.flags.c_contiguous
    )


class _Side:
    """One end of a copy: `height` rows of `width` bytes, one every `pitch` bytes."""

    def __init__(self, address: int, array: Array) -> None:
        itemsize = array.dtype.itemsize
        self.address = address
        self.size = array.size * itemsize
        self.is_dense = bool(array.flags.c_contiguous)
        self.width = array.shape[-1] * itemsize if array.ndim else itemsize
        self.pitch = channel_pitch(array) * itemsize if array.ndim else itemsize
        self.height = self.size // max(1, self.width)

    @classmethod
    def on_gpu(cls, array: Array) -> _Side:
        return cls(int(array.data.ptr), array)

    @classmethod
    def on_host(cls, array: np.ndarray[Any, Any]) -> _Side:
        return cls(array.ctypes.data, array)
