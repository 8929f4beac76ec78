"""Copies to the GPU that run while its kernels do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gpunn.backend.contract import nothing
from gpunn.backend.cuda.gpu.gpu import OUT_OF_MEMORY, Gpu
from gpunn.errors import DeviceError, MemoryExhaustedError


class CopyStream:
    """Brings page-locked memory to the GPU on a stream of its own.

    What is copied goes into one of two buffers as soon as the one before has left it, whatever kernels are at work, and
    from there to its place in order with the kernels, which may still be using that place. So the bus is busy while
    kernels compute, and no address in a captured graph changes. Where the GPU has no room for buffers, copies go to
    their places at once, in order with the kernels.

    (CUDA C++ Programming Guide, asynchronous concurrent execution: overlap of data transfer and kernel execution,
    events.)

    Args:
        gpu: whose kernels come first.

    Raises:
        DeviceError: when CUDA gives no stream.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        cuda = gpu.cupy.cuda
        with gpu.at_work("opening it"):
            self._stream = cuda.Stream(non_blocking=True)
            self._buffers = _Buffer(gpu), _Buffer(gpu)
        self._size = 0
        self._has_room = True
        self._turn = 0
        self.copied: Callable[[], None] = nothing

    def start(self, target: int, source: int, size: int) -> None:
        """Copy `size` bytes between these addresses; `copied` then waits until all that was started has been read."""
        runtime, main = self._gpu.cupy.cuda.runtime, self._gpu.stream
        buffer = self._buffers[self._turn]
        self._turn = 1 - self._turn
        with self._gpu.at_work("copying"):
            if self._makes_room(size):
                self._stream.wait_event(buffer.left)
                runtime.memcpyAsync(buffer.address, source, size, runtime.memcpyHostToDevice, self._stream.ptr)
                buffer.read.record(self._stream)
                main.wait_event(buffer.read)
                runtime.memcpyAsync(target, buffer.address, size, runtime.memcpyDeviceToDevice, main.ptr)
                buffer.left.record(main)
            else:
                runtime.memcpyAsync(target, source, size, runtime.memcpyHostToDevice, main.ptr)
                buffer.read.record(main)
        self.copied = buffer.wait

    def _makes_room(self, size: int) -> bool:
        """Whether both buffers have so many bytes. Once the GPU has refused, it is not asked again: copies on one
        stream after copies on two would else be ahead of some of them."""
        if not self._has_room or size <= self._size:
            return self._has_room
        # What is still on its way passes through the old buffers.
        self._gpu.stream.synchronize()
        for buffer in self._buffers:
            buffer.give_back()
        try:
            for buffer in self._buffers:
                buffer.allocate(size)
        except self._gpu.cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status != OUT_OF_MEMORY:
                raise
            for buffer in self._buffers:
                buffer.give_back()
            self._has_room = False
        self._size = size
        return self._has_room


class _Buffer:
    """Memory of the GPU that copies pass through, not cleared: that would happen on the other stream.

    Attributes:
        read: the source of the latest copy has been read. Who waits for it leaves the processor to others.
        left: the latest copy is at its place.
    """

    def __init__(self, gpu: Gpu) -> None:
        cuda = gpu.cupy.cuda
        self._gpu = gpu
        self._memory: Any = None
        self.read = cuda.Event(block=True, disable_timing=True)
        self.left = cuda.Event(disable_timing=True)

    @property
    def address(self) -> int:
        return int(self._memory.ptr)

    def allocate(self, size: int) -> None:
        cuda = self._gpu.cupy.cuda
        self._memory = cuda.MemoryPointer(cuda.Memory(size), 0)

    def give_back(self) -> None:
        self._memory = None

    def wait(self) -> None:
        # What has gone wrong is met again by whatever the GPU is asked to do next.
        with suppress(DeviceError, MemoryExhaustedError), self._gpu.at_work("waiting for a copy"):
            self.read.synchronize()
