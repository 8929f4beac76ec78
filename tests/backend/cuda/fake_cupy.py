"""A stand-in for CuPy with the memory of the host: what gpunn uses of CuPy, as strict about order as a GPU.

Nothing on a stream happens before somebody waits for the stream. Kernels are what a test says they are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]
CAPTURE_UNSUPPORTED = 900
OUT_OF_MEMORY = 2
LARGEST_SHARED = 163 * 1024


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, text: str = "cudaErrorSomething: some words") -> None:
        self.status = status
        super().__init__(text)


class CUDADriverError(RuntimeError):
    def __init__(self, status: int, text: str = "CUDA_ERROR_SOMETHING: some words") -> None:
        self.status = status
        super().__init__(text)


@dataclass
class Launched:
    """A kernel that reached the GPU; arguments are arrays, None, or numbers that were passed by value."""

    cubin: bytes
    kernel: str
    grid: tuple[int, int, int]
    threads: tuple[int, int, int]
    arguments: tuple[Any, ...]
    shared: int


@dataclass
class Machine:
    """What the fake GPU is like, and what was done to it.

    Attributes:
        kernel: what a kernel does.
        milliseconds: how long a kernel takes.
        failing: an error that a function raises, by the function's name.
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
    clock: float = 0.0

    def fail(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]


class Stream:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.ptr = id(self)
        self.waiting: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None

    def put(self, action: Callable[[], None]) -> None:
        assert self.machine.current, "no GPU is current"
        (self.waiting if self.captured is None else self.captured).append(action)

    def synchronize(self) -> None:
        if self.captured is not None:
            raise CUDARuntimeError(CAPTURE_UNSUPPORTED)
        self.machine.fail("synchronize")
        while self.waiting:
            self.waiting.pop(0)()

    def begin_capture(self) -> None:
        self.captured = []

    def end_capture(self) -> Graph:
        actions, self.captured = self.captured, None
        assert actions is not None
        self.machine.fail("end_capture")
        return Graph(actions)


class Graph:
    def __init__(self, actions: list[Callable[[], None]]) -> None:
        self.actions = actions

    def launch(self, stream: Stream) -> None:
        for action in self.actions:
            stream.put(action)


class Event:
    def __init__(self, disable_timing: bool = False) -> None:
        self.stream: Stream | None = None
        self.time = 0.0

    def record(self, stream: Stream) -> None:
        self.stream = stream
        stream.put(lambda: setattr(self, "time", stream.machine.clock))

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.synchronize()


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
        def move() -> None:
            for row in range(height):
                ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)

        # CUDA may copy at once where memory can be paged out, but promises nothing.
        streams[stream].put(move)

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
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
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
