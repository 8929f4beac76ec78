"""The handle of a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gpunn.backend.contract.arrays import Array, DType, Layout, Memory
from gpunn.backend.contract.primitives import Primitives
from gpunn.backend.work import Work
from gpunn.geometry import Shape


class Device(Protocol):
    """A handle: one device with its memory, its threads or stream, and its primitives. Nothing is global."""

    @property
    def name(self) -> str:
        """What a person calls it, such as "cpu" or "cuda:0"."""

    @property
    def hardware(self) -> str:
        """What its maker calls it."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The names of gpunn.precision that it computes."""

    @property
    def primitives(self) -> Primitives:
        """The functions of this contract for this device."""

    def allocate(self, size: int) -> Memory:
        """`size` bytes, zero.

        Raises:
            MemoryExhaustedError: when the device has not that much.
        """

    def size_of(self, shape: Shape, dtype: DType, layout: Layout) -> int:
        """Bytes of an array, with whatever padding the backend wants."""

    def view(self, memory: Memory, offset: int, shape: Shape, dtype: DType, layout: Layout) -> Array:
        """The array that starts `offset` bytes into the memory."""

    def upload(self, array: Array, host: np.ndarray[Any, Any]) -> None:
        """Copy an array in logical order to the device.

        The host's array may change as soon as this returns; what lies in memory that was given to `pin`, after a call
        of what `copied` then gives.
        """

    def pin(self, host: np.ndarray[Any, Any]) -> Callable[[], None]:
        """Keep a contiguous array of the host where it is, if the device then copies from it by itself.

        Returns:
            A function that undoes this, once the device has read what was uploaded from there; until then the array is
            kept alive. Neither raises an error: memory that cannot be pinned is as good as any other.
        """

    def copied(self) -> Callable[[], None]:
        """A function that waits until the device has read all that was uploaded so far.

        It raises no error: a device that has failed reads nothing any more, and says so when it is next used. It is
        equal to the one before as long as nothing was uploaded that has to be waited for.
        """

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy in logical order, contiguous, on the host."""

    def synchronize(self) -> None:
        """Wait until everything that was started has ended."""

    def free_memory(self) -> int | None:
        """Bytes that `allocate` can still give; None when nobody knows."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that does at every call what `run` does.

        The device may write down at one call what `run` tells it, and repeat that at later calls without `run`: so
        `run` is the same every time, and all that changes lies in the device's memory.
        """

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        """Carry out each of these, in order, and tell how many seconds the device was at it.

        Where a device works while the host goes on, what the host takes to tell it does not count.
        """

    def observe(self, run: Callable[[], None]) -> Work:
        """Carry something out, and tell how it was computed."""

    def library_product(self, y: Array, x: Array, w: Array) -> str | None:
        """y (N, outputs) = x (N, inputs) times w (inputs, outputs), all of one type, by the maker's library.

        Returns:
            What the library is called; None where there is none for the type, and nothing was computed.
        """

    def thread_plan(self) -> dict[str, int | str]:
        """What the bits of a result depend on besides the seed: kept in checkpoints, compared on resume."""

    def adopt_plan(self, plan: Mapping[str, object]) -> None:
        """Compute as the plan of a checkpoint says, as far as it speaks of this device; before programs are built."""

    def close(self) -> None:
        """Give back threads and memory."""
