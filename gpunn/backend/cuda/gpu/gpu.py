"""One GPU as CuPy shows it, and what CUDA's errors mean to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpunn.errors import DeviceError, MemoryExhaustedError

#: cudaErrorMemoryAllocation, and the driver's CUDA_ERROR_OUT_OF_MEMORY.
OUT_OF_MEMORY = 2
#: A kernel did what it must not; the process cannot use the GPU any more (CUDA Runtime API, cudaError_t: hardware
#: stack, illegal instruction, address or space, misaligned address, launch failure, time-out, assertion).
_KERNEL_FAULTS = frozenset({700, 702, 710, 714, 715, 716, 717, 718, 719})
#: The GPU itself is gone or taken: initialisation, driver shutting down, devices unavailable, no device, invalid
#: device, device uninitialised, ECC and NVLink errors, context destroyed, unknown.
_LOST = frozenset({3, 4, 46, 100, 101, 201, 214, 220, 226, 709, 999})


class Gpu:
    """A GPU, and the stream that everything on it goes through, in order.

    Attributes:
        cupy: the module, or what stands in for it in a test.
        number: of the GPU.
        name: such as "cuda:0".
        stream: not CUDA's null stream, which cannot be captured.

    Raises:
        DeviceError: when CUDA cannot use it.
    """

    def __init__(self, cupy: Any, number: int) -> None:
        self.cupy = cupy
        self.number = number
        self.name = f"cuda:{number}"
        with self.at_work("opening it"):
            self.stream = cupy.cuda.Stream(non_blocking=True)

    @contextmanager
    def at_work(self, what: str) -> Iterator[None]:
        """Make the GPU the current one of this thread for what is done inside.

        Args:
            what: what is done, for an error, such as "copying".

        Raises:
            MemoryExhaustedError: when CUDA has no memory for it.
            DeviceError: for every other error of CUDA.
        """
        cuda = self.cupy.cuda
        try:
            with cuda.Device(self.number):
                yield
        except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
            if error.status == OUT_OF_MEMORY:
                raise MemoryExhaustedError(
                    f"{self.name} has no memory left, which showed while {what} ({error}); use a smaller batch, or see "
                    "nvidia-smi what else holds its memory"
                ) from None
            raise DeviceError(_explain(self.name, what, error)) from None


def _explain(name: str, what: str, error: Any) -> str:
    if error.status in _KERNEL_FAULTS:
        return (
            f"a kernel on {name} failed, which showed while {what} ({error}). What the GPU held is lost; go on from "
            "the last checkpoint with gpunn train --resume RUN. --device emulator --check finds file and line of a "
            "wrong kernel"
        )
    if error.status in _LOST:
        return (
            f"{name} was lost while {what} ({error}). See nvidia-smi whether another process holds it or it has "
            "failed; then go on from the last checkpoint with gpunn train --resume RUN, or use --device cpu"
        )
    return f"{name}: CUDA refuses {what} ({error})"
