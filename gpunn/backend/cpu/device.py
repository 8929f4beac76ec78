"""The CPU as a device: memory order, threads, and the handle that its primitives take.

Images lie in memory in the order H, W, N, C and are handed out as N, H, W, C views: any slice of rows or columns
then has runs of N * C neighbouring numbers, long enough for one NumPy call to work at the speed of memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from math import prod
from threading import local
from typing import Any, Concatenate, NamedTuple, ParamSpec, cast, get_args

import numpy as np
from threadpoolctl import ThreadpoolController

from gpunn.arena import align
from gpunn.backend.attributes import LINEAR, Arithmetic, ConvolutionAlgorithm
from gpunn.backend.contract import DType, Layout, Primitives, nothing
from gpunn.backend.cpu.workers import Workers
from gpunn.backend.host_clock import host_seconds
from gpunn.backend.work import Journal, Work
from gpunn.cores import available_cores, processor_name
from gpunn.errors import MemoryExhaustedError, UsageError
from gpunn.geometry import LinearGeometry, Shape, is_whole

#: Arrays start at a multiple of this many bytes.
ALIGNMENT = 256
#: Elements of NumPy's buffer. It copies operands whose runs are shorter than its buffer, broadcast vectors and slices
#: of images among them; runs of this length are worked on where they lie, two to four times as fast.
UFUNC_BUFFER = 1024
#: The environment variable that gives the number of threads when a caller gives none.
THREADS_VARIABLE = "GPUNN_THREADS"


class NumpySettings:
    """What primitives ask of NumPy: short buffers, and silence about overflow and invalid operations.

    A context manager, for one thread at a time as for several. What is entered once for a whole step costs nothing in
    each of its primitives; a small one would spend a tenth of its time on it.
    """

    def __init__(self) -> None:
        self._entered = _Entered()

    def __enter__(self) -> None:
        entered = self._entered
        if entered.depth == 0:
            entered.former = np.setbufsize(UFUNC_BUFFER), np.seterr(all="ignore")
        entered.depth += 1

    def __exit__(self, *error: object) -> None:
        entered = self._entered
        entered.depth -= 1
        if entered.depth == 0:
            buffer, errors = entered.former
            np.setbufsize(buffer)
            np.seterr(**errors)


class _Entered(local):
    """How often a thread has entered, and NumPy's settings before."""

    depth = 0
    former: tuple[int, Any]


class _Slot(NamedTuple):
    """Scratch memory of one thread, and the arrays that were asked for in it: small layers ask often."""

    memory: np.ndarray[Any, Any]
    views: dict[tuple[Shape, DType | type], np.ndarray[Any, Any]]


class CpuDevice:
    """The handle of the CPU backend.

    Attributes:
        threads: how many threads share the chunks of a primitive. The BLAS itself runs on one thread.
        algorithm: of the convolutions that name none themselves.
        journal: where primitives that choose among algorithms say which.
        settings: of NumPy; `parallel` and `record` enter them.
    """

    name = "cpu"
    precisions: tuple[str, ...] = ("float32", "float64")

    def __init__(self, threads: int, algorithm: ConvolutionAlgorithm = "auto") -> None:
        self.threads = threads
        self.algorithm = algorithm
        self.journal = Journal()
        self.settings = NumpySettings()
        self._workers = Workers(threads - 1, self.settings.__enter__) if threads > 1 else None
        self._scratch = local()
        self._blas_limit = ThreadpoolController().limit(limits=1, user_api="blas")

    @property
    def hardware(self) -> str:
        """The processor's name."""
        return processor_name()

    @property
    def primitives(self) -> Primitives:
        """The functions of gpunn.backend.cpu."""
        from gpunn.backend import cpu

        return cpu

    def parallel(self, work: Callable[[int], None], chunks: Iterable[int], threads: int | None = None) -> None:
        """Call `work` for every chunk, every `threads`-th one by the same thread, in order; NumPy is silent.

        So results never depend on timing. A thread that has ended its share takes over one that nobody has begun.

        Args:
            work: takes the number of a chunk.
            chunks: all numbers.
            threads: fewer threads than the device has, where waking them costs more than it saves.
        """
        chunks = list(chunks)
        shares = min(threads or self.threads, len(chunks))

        def share(first: int) -> None:
            for chunk in chunks[first::shares]:
                work(chunk)

        with self.settings:
            if self._workers is not None and shares > 1:
                self._workers.run(share, shares)
            elif chunks:
                share(0)

    def scratch(self, slot: int, shape: Shape, dtype: DType | type) -> np.ndarray[Any, Any]:
        """An array of this thread's own, its contents arbitrary; the same memory at each call with the same slot.

        For pieces that fit a cache; what a whole layer needs is planned as a workspace.
        """
        slots = cast("dict[int, _Slot]", self._scratch.__dict__)
        held = slots.get(slot)
        if held is not None and (array := held.views.get((shape, dtype))) is not None:
            return array
        wanted = np.dtype(dtype)
        size = prod(shape) * wanted.itemsize
        if held is None or held.memory.size < size:
            held = slots[slot] = _Slot(_aligned(np.empty(size + ALIGNMENT, np.uint8), size), {})
        array = held.views[shape, dtype] = held.memory[:size].view(wanted).reshape(shape)
        return array

    def allocate(self, size: int) -> np.ndarray[Any, Any]:
        """`size` zero bytes, aligned.

        Raises:
            MemoryExhaustedError: when the system refuses.
        """
        try:
            memory = np.zeros(size + ALIGNMENT, np.uint8)
        except MemoryError:
            raise MemoryExhaustedError(
                f"the CPU has no {size / 2**30:.1f} GiB left for this program; use a smaller batch"
            ) from None
        return _aligned(memory, size)

    def size_of(self, shape: Shape, dtype: DType, layout: Layout) -> int:
        """Bytes of an array, rounded up to the alignment."""
        return align(prod(shape) * dtype.itemsize, ALIGNMENT)

    def view(
        self, memory: np.ndarray[Any, Any], offset: int, shape: Shape, dtype: DType, layout: Layout
    ) -> np.ndarray[Any, Any]:
        """The array at `offset`; images of four axes as the N, H, W, C view of H, W, N, C memory."""
        part = memory[offset : offset + prod(shape) * dtype.itemsize].view(dtype)
        if layout == "images" and len(shape) == 4:
            N, H, W, C = shape
            return part.reshape(H, W, N, C).transpose(2, 0, 1, 3)
        return part.reshape(shape)

    def upload(self, array: np.ndarray[Any, Any], host: np.ndarray[Any, Any]) -> None:
        """Copy values in."""
        np.copyto(array, host)

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Nothing to gain: values are copied in by the caller itself."""
        return nothing

    def copied(self) -> Callable[[], None]:
        """Nothing to wait for: `upload` returns when it is done."""
        return nothing

    def download(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A contiguous copy."""
        return np.array(array, order="C")

    def synchronize(self) -> None:
        """Nothing to wait for: primitives return when they are done."""

    def free_memory(self) -> None:
        """The system gives memory that it has not, and takes it back from others: nobody knows."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """`run` with NumPy's settings entered once."""

        def prepared() -> None:
            with self.settings:
                run()

        return prepared

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        """Seconds of each; the calling thread waits for the others."""
        return host_seconds(steps)

    def observe(self, run: Callable[[], None]) -> Work:
        """The algorithm that was chosen; "NumPy" where there is but one."""
        return self.journal.observe(run, "NumPy")

    def library_product(self, y: np.ndarray[Any, Any], x: np.ndarray[Any, Any], w: np.ndarray[Any, Any]) -> str:
        """y = x w by the BLAS that NumPy came with, cut over the threads."""
        geometry = LinearGeometry(x.shape[0], x.shape[1], w.shape[1])
        nowhere = np.empty(0, np.uint8)
        self.primitives.linear_forward(self, y, x, w, None, geometry, LINEAR, Arithmetic("float32"), nowhere)
        return "NumPy's BLAS"

    def thread_plan(self) -> dict[str, int | str]:
        """Sums are split over the threads, so their number is part of a result, and so is how they are computed."""
        return {"cpu_threads": self.threads, "cpu_algorithm": self.algorithm}

    def adopt_plan(self, plan: Mapping[str, object]) -> None:
        """Convolve as a checkpoint was computed; the threads are those that the device was opened with."""
        algorithm = plan.get("cpu_algorithm")
        if algorithm in get_args(ConvolutionAlgorithm):
            self.algorithm = cast("ConvolutionAlgorithm", algorithm)

    def close(self) -> None:
        """Stop the threads and give the BLAS its own back."""
        if self._workers is not None:
            self._workers.close()
        self._blas_limit.restore_original_limits()


def _aligned(memory: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def open_cpu(threads: int | None = None, algorithm: ConvolutionAlgorithm = "auto") -> CpuDevice:
    """A handle with `threads` threads; the default is GPUNN_THREADS, or every core this process may use.

    Raises:
        UsageError: when either is not a whole number of 1 or more.
    """
    if threads is not None:
        if not (is_whole(threads) and threads >= 1):
            raise UsageError(f"a CPU with {threads} threads; it must be a whole number of 1 or more")
        return CpuDevice(threads, algorithm)
    asked = os.environ.get(THREADS_VARIABLE, "")
    if not asked:
        return CpuDevice(available_cores(), algorithm)
    if not asked.isdecimal() or int(asked) < 1:
        raise UsageError(f"{THREADS_VARIABLE} is {asked!r}; it must be a whole number of 1 or more, or not set")
    return CpuDevice(int(asked), algorithm)


def memory_order(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Images with their axes in the order of memory, H, W, N, C; vectors as they are."""
    return array.transpose(1, 2, 0, 3) if array.ndim == 4 else array


_Arguments = ParamSpec("_Arguments")
_Primitive = Callable[Concatenate[CpuDevice, _Arguments], None]


def quiet(primitive: _Primitive[_Arguments]) -> _Primitive[_Arguments]:
    """The primitive with the device's settings of NumPy."""

    @wraps(primitive)
    def run(device: CpuDevice, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
        with device.settings:
            primitive(device, *arguments, **named)

    return cast("_Primitive[_Arguments]", run)
