"""A stand-in for CuPy with the memory of the host: what gpunn uses of CuPy, as strict about order as a GPU.

Kernels are what a test says they are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

from tests.backend.cuda.fake_streams import CUDADriverError, CUDARuntimeError, Event, Stream

Host = np.ndarray[Any, Any]
OUT_OF_MEMORY = 2
INVALID_VALUE = 1
ALREADY_REGISTERED = 712
NOT_REGISTERED = 713
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
LARGEST_SHARED = 163 * 1024


@dataclass
class Launched:
    """A kernel that reached the GPU; arguments are arrays, None, or numbers that were passed by value."""

    cubin: bytes
    kernel: str
    grid: tuple[int, int, int]
    threads: tuple[int, int, int]
    arguments: tuple[Any, ...]
    shared: int


@dataclass(frozen=True)
class Copied:
    """A copy that is done; the number of its stream counts from 0, in the order they were made."""

    kind: int
    target: int
    source: int
    size: int
    stream: int


@dataclass
class Machine:
    """What the fake GPU is like, and what was done to it.

    Attributes:
        kernel: what a kernel does.
        milliseconds: how long a kernel takes.
        failing: an error that a function raises, by the function's name.
        eager: the numbers of the streams that wait for nobody but events.
    """

    gpus: int = 1
    capability: str = "90"
    driver: int = 13000
    runtime: int = 13000
    memory: int = 2**30
    kernel: Callable[[Launched], None] = lambda launched: None
    milliseconds: Callable[[Launched], float] = lambda launched: 1.0
    failing: dict[str, Exception] = field(default_factory=dict)
    launched: list[Launched] = field(default_factory=list)
    allowed_shared: dict[int, int] = field(default_factory=dict)
    loaded: list[bytes] = field(default_factory=list)
    used: int = 0
    current: list[int] = field(default_factory=list)
    pinned: list[Host] = field(default_factory=list)
    registered: dict[int, int] = field(default_factory=dict)
    freed: list[Host] = field(default_factory=list)
    copies: list[Copied] = field(default_factory=list)
    eager: set[int] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)
    clock: float = 0.0

    def fail(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]

    def hurry(self) -> None:
        """Everything that eager streams can do now."""
        while ready := [stream for stream in self.streams if stream.number in self.eager and stream.is_ready]:
            ready[0].advance()

    def has_registered(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + held for start, held in self.registered.items())


class Pointer:
    def __init__(self, memory: Any, offset: int) -> None:
        self.memory = memory
        self.offset = offset
        self.ptr = memory.bytes.ctypes.data + offset
        self.device_id = memory.device_id

    def __add__(self, offset: int) -> Pointer:
        return Pointer(self.memory, self.offset + offset)

    def memset_async(self, value: int, size: int, stream: Stream) -> None:
        part = self.memory.bytes[self.offset : self.offset + size]
        stream.put(lambda: part.fill(value))


class Array:
    """cupy.ndarray, over a NumPy array that only kernels and copies may look at."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, memptr: Pointer) -> None:
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.data = memptr
        self.host = memptr.memory.bytes[memptr.offset : memptr.offset + count].view(dtype).reshape(shape)

    def __getattr__(self, name: str) -> Any:
        if name not in ("shape", "dtype", "size", "ndim", "strides", "flags", "nbytes", "itemsize"):
            raise AttributeError(name)
        return getattr(self.host, name)

    def __getitem__(self, key: Any) -> Array:
        return self._seen_as(self.host[key])

    def reshape(self, shape: tuple[int, ...]) -> Array:
        return self._seen_as(self.host.reshape(shape))

    def view(self, dtype: Any) -> Array:
        return self._seen_as(self.host.view(dtype))

    def _seen_as(self, host: Host) -> Array:
        assert host.size == 0 or np.shares_memory(host, self.host), "CuPy would copy"
        part = object.__new__(Array)
        part.host = host
        part.data = self.data + (host.ctypes.data - self.host.ctypes.data)
        return part


def fake_cupy(machine: Machine) -> Any:
    """The module."""

    class Device:
        def __init__(self, number: int) -> None:
            self.number = number
            self.compute_capability = machine.capability

        def __enter__(self) -> None:
            machine.current.append(self.number)

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            machine.current.pop()

    class Memory:
        def __init__(self, size: int) -> None:
            machine.fail("malloc")
            if machine.used + size > machine.memory:
                raise CUDARuntimeError(OUT_OF_MEMORY, "cudaErrorMemoryAllocation: out of memory")
            machine.used += size
            self.size = size
            self.bytes = aligned(size)
            self.bytes.fill(0xAB)
            self.device_id = machine.current[-1]

        def __del__(self) -> None:
            machine.used -= getattr(self, "size", 0)
            if hasattr(self, "bytes"):
                self.bytes.fill(0xEE)
                # Kept, so that what comes too late meets those bytes and not the memory of something else.
                machine.freed.append(self.bytes)

    class Function:
        def __init__(self, cubin: bytes, name: str) -> None:
            self.cubin = cubin
            self.name = name
            self.ptr = id(self)

        def __call__(
            self,
            grid: tuple[int, int, int],
            block: tuple[int, int, int],
            args: tuple[Any, ...],
            *,
            shared_mem: int,
            stream: Stream,
        ) -> None:
            machine.fail("launchKernel")
            if shared_mem > machine.allowed_shared.get(self.ptr, 48 * 1024):
                raise CUDADriverError(1, "CUDA_ERROR_INVALID_VALUE: invalid argument")
            launched = Launched(self.cubin, self.name, grid, block, tuple(map(passed, args)), shared_mem)

            def run() -> None:
                machine.launched.append(launched)
                machine.clock += machine.milliseconds(launched)
                machine.kernel(launched)

            stream.put(run)

    class Module:
        def load(self, cubin: bytes) -> None:
            machine.fail("moduleLoadData")
            machine.loaded.append(cubin)
            self.cubin = cubin

        def get_function(self, name: str) -> Function:
            return Function(self.cubin, name)

    def function_attribute(function: int, attribute: int, value: int) -> None:
        assert attribute == 8
        if value > LARGEST_SHARED:
            raise CUDADriverError(1, "CUDA_ERROR_INVALID_VALUE: invalid argument")
        machine.allowed_shared[function] = value

    streams: dict[int, Stream] = {}

    def new_stream(*, non_blocking: bool) -> Stream:
        assert non_blocking
        machine.fail("streamCreate")
        stream = Stream(machine)
        streams[stream.ptr] = stream
        return stream

    def copy(target: int, source: int, size: int, kind: int, stream: int) -> None:
        copy_rows(target, size, source, size, size, 1, kind, stream)

    def copy_rows(
        target: int, target_pitch: int, source: int, source_pitch: int, width: int, height: int, kind: int, stream: int
    ) -> None:
        size = width * height
        is_registered = machine.has_registered(source, size)

        def move() -> None:
            assert not is_registered or machine.has_registered(source, size), "the GPU reads unlocked memory"
            for row in range(height):
                ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)
            machine.copies.append(Copied(kind, target, source, size, streams[stream].number))

        # CUDA may copy at once where memory can be paged out, but promises nothing.
        streams[stream].put(move)

    def register(address: int, size: int, flags: int) -> None:
        assert machine.current, "no GPU is current"
        machine.fail("hostRegister")
        if size == 0 or flags != 0:
            raise CUDARuntimeError(INVALID_VALUE)
        if any(start < address + size and address < start + held for start, held in machine.registered.items()):
            raise CUDARuntimeError(ALREADY_REGISTERED)
        machine.registered[address] = size

    def unregister(address: int) -> None:
        assert machine.current, "no GPU is current"
        machine.fail("hostUnregister")
        if machine.registered.pop(address, None) is None:
            raise CUDARuntimeError(NOT_REGISTERED)

    def pinned(size: int) -> Host:
        machine.pinned.append(aligned(size))
        return machine.pinned[-1]

    def attribute(which: int, number: int) -> int:
        assert which == 97
        return LARGEST_SHARED

    def device_count() -> int:
        machine.fail("getDeviceCount")
        return machine.gpus

    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        driverGetVersion=lambda: machine.driver,
        runtimeGetVersion=lambda: machine.runtime,
        getDeviceCount=device_count,
        getDeviceProperties=lambda number: {"name": b"Fake GPU (1 GiB)"},
        deviceGetAttribute=attribute,
        cudaDevAttrMaxSharedMemoryPerBlockOptin=97,
        memGetInfo=lambda: (machine.memory - machine.used, machine.memory),
        memcpyAsync=copy,
        memcpy2DAsync=copy_rows,
        memcpyHostToDevice=HOST_TO_DEVICE,
        memcpyDeviceToHost=DEVICE_TO_HOST,
        memcpyDeviceToDevice=DEVICE_TO_DEVICE,
        hostRegister=register,
        hostUnregister=unregister,
    )
    driver = SimpleNamespace(
        CUDADriverError=CUDADriverError,
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8,
        funcSetAttribute=function_attribute,
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        driver=driver,
        function=SimpleNamespace(Module=Module),
        Device=Device,
        Stream=new_stream,
        Event=Event,
        get_elapsed_time=lambda begin, end: end.time - begin.time,
        Memory=Memory,
        MemoryPointer=Pointer,
        alloc_pinned_memory=pinned,
    )
    return SimpleNamespace(cuda=cuda, ndarray=Array)


def aligned(size: int) -> Host:
    memory = np.zeros(size + 256, np.uint8)
    start = -memory.ctypes.data % 256
    return memory[start : start + size]


def passed(argument: Any) -> Any:
    """What CuPy makes of an argument; it refuses what it would pass by a type that the kernel does not have."""
    if argument is None or isinstance(argument, Array):
        return argument
    if isinstance(argument, np.ndarray) and argument.size == 1:
        return argument.copy()
    raise TypeError(f"{argument!r} would be passed as CuPy likes, not as the kernel declares")
