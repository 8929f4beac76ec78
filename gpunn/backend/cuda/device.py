"""The handle of the CUDA backend. With another memory and another executor the same class is the emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from gpunn.arena import align
from gpunn.backend.contract import Array, DType, Layout, Memory, Primitives
from gpunn.backend.cuda.chunk_table import ChunkTables
from gpunn.backend.cuda.graph import RecordedExecutor, RecordedMemory, RecordedRun
from gpunn.backend.cuda.launching.device_memory import ALIGNMENT, DeviceMemory
from gpunn.backend.cuda.launching.launch import CheckedLaunch, Executor, Grid, Launcher
from gpunn.backend.cuda.traits import Traits
from gpunn.backend.work import Journal, Work
from gpunn.geometry import Shape

#: Elements of the scratch that reductions share: 8 MiB of float32.
LARGEST_PARTIALS = 2**21
#: No GPU's clock is faster, so what is held for that many cycles is held for a second or longer.
CYCLES_PER_SECOND = 3e9


class CudaDevice:
    """One GPU, or the emulator: its memory, its launcher and its primitives.

    Arrays lie row by row in their logical order, N, H, W, C for images.

    Attributes:
        memory: where arrays live.
        launcher: the door to kernels.
        chunk_tables: the optimiser's settings that were uploaded.
        recorder: writes steps down.
        tuner: chooses among the kernels for a shape.
        capability: compute capability, such as 90.
        journal: where primitives that choose among kernels say which.
    """

    def __init__(
        self, name: str, memory: DeviceMemory, executor: Executor, primitives: Primitives, traits: Traits | None = None
    ) -> None:
        traits = traits or Traits()
        self.recorder = traits.recorder
        self.tuner = traits.tuner
        self.capability = traits.capability
        self.memory: DeviceMemory = RecordedMemory(memory, self.recorder)
        self.journal = Journal()
        observed = _ObservedExecutor(RecordedExecutor(executor, self.recorder), self.journal)
        self.launcher = Launcher(self.memory, observed)
        self.chunk_tables = ChunkTables(self.memory)
        self._partials = memory.view(
            memory.allocate(4 * LARGEST_PARTIALS), 0, (LARGEST_PARTIALS,), np.dtype(np.float32)
        )
        self._held = memory.view(memory.allocate(8), 0, (1,), np.dtype(np.int64))
        self._name = name
        self._traits = traits
        self._executor = executor
        self._primitives = primitives

    @property
    def name(self) -> str:
        """Such as "cuda:0" or "emulator"."""
        return self._name

    @property
    def hardware(self) -> str:
        """What the maker calls the GPU."""
        return self._traits.hardware

    @property
    def primitives(self) -> Primitives:
        """The functions of the contract."""
        return self._primitives

    @property
    def precisions(self) -> tuple[str, ...]:
        """The names of gpunn.precision that it computes."""
        return self._traits.precisions

    def partials(self, count: int) -> Array:
        """float32 scratch in which the blocks of one launch leave sums for the next launch to add up.

        There is one for all launches: they run one after another.

        Raises:
            ValueError: for more than LARGEST_PARTIALS elements.
        """
        if not 1 <= count <= LARGEST_PARTIALS:
            raise ValueError(f"{count} partial sums; there is room for 1 to {LARGEST_PARTIALS}")
        return self._partials[:count]

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero, aligned.

        Raises:
            MemoryExhaustedError: when the device has not that much.
        """
        return self.memory.allocate(size)

    def size_of(self, shape: Shape, dtype: DType, layout: Layout) -> int:
        """Bytes of an array, rounded up to the alignment."""
        return align(prod(shape) * dtype.itemsize, ALIGNMENT)

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType, layout: Layout) -> Array:
        """The array at `offset`."""
        return self.memory.view(memory, offset, shape, dtype)

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy values in."""
        self.memory.upload(array, host)

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Page-lock an array of the host in place; the result undoes it."""
        return self.memory.pin(host)

    def copied(self) -> Callable[[], None]:
        """A function that waits until what was uploaded so far has been read."""
        return self.memory.copied()

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A contiguous copy on the host."""
        return self.memory.download(array)

    def synchronize(self) -> None:
        """Wait until every launch has ended."""
        self.memory.synchronize()

    def free_memory(self) -> int | None:
        """Bytes that `allocate` can still give; None when nobody knows."""
        return self.memory.free_bytes()

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """`run` as it is at first; from its third call on, its launches repeated without it.

        Raises:
            DeviceError: at that call, when it copies from or to the host, allocates, or waits for the device.
        """
        return RecordedRun(run, self.recorder)

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        """Seconds of each between two events on the stream, queued while a kernel holds the GPU."""
        return self._traits.clock(steps, self._hold)

    def observe(self, run: Callable[[], None]) -> Work:
        """The kernels that were chosen, and what their tiles execute; elsewhere the names of kernels."""
        return self.journal.observe(run, "copy")

    def library_product(self, y: Array, x: Array, w: Array) -> str | None:
        """y = x w by cuBLAS, where CuPy brings it and knows the type."""
        return self._traits.library_product(y, x, w)

    def _hold(self, seconds: float) -> None:
        cycles = int(seconds * CYCLES_PER_SECOND)
        grid = Grid((1, 1, 1), (1, 1, 1))
        self.launcher.launch("hold.cu", "hold", grid, {"held": self._held, "cycles": cycles})

    def thread_plan(self) -> dict[str, int | str]:
        """What results depend on besides the seed: which kernels were chosen."""
        return {**self.tuner.plan()}

    def adopt_plan(self, plan: Mapping[str, object]) -> None:
        """Use the kernels that a checkpoint was computed with."""
        self.tuner.adopt(plan)

    def close(self) -> None:
        """Give back what the executor holds."""
        self._executor.close()


class _ObservedExecutor:
    """An executor whose launches are told to a journal."""

    def __init__(self, executor: Executor, journal: Journal) -> None:
        self._executor = executor
        self._journal = journal

    def execute(self, launch: CheckedLaunch) -> None:
        """Start a kernel."""
        self._journal.ran(launch.signature.name)
        self._executor.execute(launch)

    def close(self) -> None:
        """Give back what the executor holds."""
        self._executor.close()
