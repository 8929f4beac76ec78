"""The only door to a kernel: whatever runs on the GPU or in the emulator was checked here."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from gpunn.backend.cuda.launching.arguments import BoundArgument, bind, infer_choices
from gpunn.backend.cuda.launching.device_memory import DeviceMemory
from gpunn.backend.cuda.launching.source import Choices, KernelSource, Signature, packaged_source
from gpunn.errors import DeviceError, UsageError

#: The limits of every GPU since compute capability 3.0 (CUDA C++ Programming Guide, technical specifications).
LARGEST_BLOCK = 1024
LARGEST_GRID = (2**31 - 1, 65535, 65535)
#: Dynamic shared memory of a block that no GPU exceeds: 227 KiB, on compute capability 9.0.
LARGEST_SHARED = 227 * 1024


@dataclass(frozen=True)
class Grid:
    """How many blocks run, how many threads each has, and the bytes of its dynamic shared memory."""

    blocks: tuple[int, int, int]
    threads: tuple[int, int, int]
    dynamic_shared_bytes: int = 0


#: Threads of a block of striding_grid.
STRIDING_BLOCK = 256
#: Enough blocks to fill the largest GPU several times; more would only add launch overhead.
MOST_STRIDING_BLOCKS = 4096


def striding_grid(items: int, items_per_block: int = STRIDING_BLOCK) -> Grid:
    """For a kernel whose blocks stride over the items, `items_per_block` at a time, however many blocks there are."""
    blocks = min(max(1, -(-items // items_per_block)), MOST_STRIDING_BLOCKS)
    return Grid((blocks, 1, 1), (STRIDING_BLOCK, 1, 1))


#: For a source that leaves nothing open, or whose choices follow from the arrays.
NO_CHOICES: Choices = MappingProxyType({})


@dataclass(frozen=True)
class CheckedLaunch:
    """A launch that may run: a source with nothing left open, arguments in the order of the signature, numbers in their
    C types."""

    source: KernelSource
    signature: Signature
    grid: Grid
    arguments: tuple[BoundArgument, ...]


class Executor(Protocol):
    """What runs kernels: a GPU, or the emulator."""

    def execute(self, launch: CheckedLaunch) -> None:
        """Start a kernel.

        Raises:
            DeviceError: when it cannot be built or run.
        """

    def close(self) -> None:
        """Give back what it holds."""


class Launcher:
    """Checks each launch against what its kernel declares, and hands it to an executor."""

    def __init__(self, memory: DeviceMemory, executor: Executor) -> None:
        self._memory = memory
        self._executor = executor
        self._sources: dict[str, KernelSource] = {}
        self._variants: dict[tuple[KernelSource, tuple[tuple[str, str], ...]], KernelSource] = {}

    def launch(
        self, file: str, kernel: str, grid: Grid, arguments: dict[str, Any], choices: Choices = NO_CHOICES
    ) -> None:
        """Run a kernel of gpunn.kernels, such as ("relu.cu", "relu_forward").

        Args:
            file: the file's name.
            kernel: the kernel's name in it.
            grid: blocks and threads.
            arguments: a value for every parameter, by its name. Python numbers get the C type that is declared.
            choices: what the file leaves open; a choice that is the type of an array follows from the array.

        Raises:
            UsageError: for arguments or a grid that do not fit the kernel.
            DeviceError: for a kernel that is not there, an array of another device, or a launch that fails.
        """
        if file not in self._sources:
            self._sources[file] = packaged_source(file)
        self.launch_from(self._sources[file], kernel, grid, arguments, choices)

    def launch_from(
        self, source: KernelSource, kernel: str, grid: Grid, arguments: dict[str, Any], choices: Choices = NO_CHOICES
    ) -> None:
        """The same for a source that is not packaged, such as a kernel of one's own."""
        signature = source.signatures.get(kernel)
        if signature is None:
            raise DeviceError(
                f"{source.path.name} has no kernel {kernel!r}; it has {', '.join(source.signatures) or 'none'}"
            )
        _require_grid(kernel, grid)
        chosen = infer_choices(source, signature, arguments, choices)
        bound = bind(signature, arguments, self._memory, chosen)
        self._executor.execute(CheckedLaunch(self._variant(source, chosen), signature, grid, bound))

    def _variant(self, source: KernelSource, chosen: Choices) -> KernelSource:
        key = (source, tuple(sorted(chosen.items())))
        if key not in self._variants:
            self._variants[key] = source.choose(chosen)
        return self._variants[key]


def _require_grid(kernel: str, grid: Grid) -> None:
    for blocks, largest in zip(grid.blocks, LARGEST_GRID, strict=True):
        if not 1 <= blocks <= largest:
            raise UsageError(f"kernel {kernel}: a grid of {grid.blocks} blocks; each side must lie in 1 to {largest}")
    x, y, z = grid.threads
    if min(grid.threads) < 1 or x * y * z > LARGEST_BLOCK:
        raise UsageError(f"kernel {kernel}: a block of {grid.threads} threads; it must have 1 to {LARGEST_BLOCK}")
    if not 0 <= grid.dynamic_shared_bytes <= LARGEST_SHARED:
        raise UsageError(
            f"kernel {kernel}: {grid.dynamic_shared_bytes} bytes of dynamic shared memory; at most {LARGEST_SHARED}"
        )
