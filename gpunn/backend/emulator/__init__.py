"""The emulator: the CUDA backend with kernels that g++ builds and the CPU runs, for machines without a GPU.

The same Python and the same kernel sources as on a GPU: only the memory (NumPy's) and the executor differ. g++ compiles
a .cu file behind runtime/cuda_host.h, which supplies CUDA's qualifiers and functions. Every CUDA thread of a block is a
fiber, so that it can stop in the middle of a function at a barrier; an OS thread runs one block at a time.

The fast build only computes. The check build sees every load and store, and reports with file and line: accesses out
of bounds or misaligned, races and uninitialised reads in shared memory, asynchronous copies that nobody waits for,
writes to const arguments, elements of outputs that are never written or written twice, and barriers that not all
threads reach. It can also count the bank conflicts and sectors of every line (profile.py). A third build counts
branches (coverage.py).

None of them sees: races between threads through global memory inside one block, missing memory fences, a wrong operand
in the PTX of kernels/primitives*.cuh (gpunn.backend.cuda.self_test finds it on a GPU), how tensor cores order and cut
off their sums, how approximate instructions round, or how long anything would take on a GPU.
"""

from __future__ import annotations

from gpunn.backend.cuda.device import CudaDevice

__all__ = ["open_emulator"]


def open_emulator(check: bool = False) -> CudaDevice:
    """A handle of the emulator, named "emulator".

    Args:
        check: run the check build, which reports races, accesses out of bounds, reads of what nobody wrote, and
            barriers that not all threads reach, with file and line.

    Raises:
        DeviceError: when g++ is missing, or the machine is not Linux on x86-64.
    """
    from gpunn.backend.emulator.launcher import EmulatorSettings
    from gpunn.backend.emulator.opening import open_with

    # A GPU may carry out an asynchronous copy at once or late: each build tries one.
    return open_with(EmulatorSettings(check=check, copies="early" if check else "late"))
