"""Packaged kernels with something taken out, and whether their exercises notice.

    python -m tests.kernels.mutations

prints what the check build finds when each barrier, and each commit of and wait for asynchronous copies, is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import NO_CHOICES, Grid, Launcher
from gpunn.backend.cuda.launching.source import Choices, KernelSource, kernel_folder, packaged_sources
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.errors import DeviceError
from tests.backend.emulator.devices import emulator
from tests.kernels.exercises import EXERCISES, results_of

#: What orders the threads of a block, and the copies of a thread. Only the emulator's side of primitives*.cuh calls
#: these by other names.
ORDERING = re.compile(r"\b(?:__sync(?:threads|warp)|copy_async_commit|copy_async_wait<[^<>()]*>)\(\);")

#: A GPU may run warps in any order, and carry out an asynchronous copy early or late.
ORDERS = (
    EmulatorSettings(check=True, copies="early"),
    EmulatorSettings(check=True, copies="late"),
    EmulatorSettings(check=True, copies="late", schedule="random", seed=3),
)

#: The kernel files through which each header is tried: together they call all of its functions.
THROUGH: dict[str, tuple[str, ...]] = {
    "reduction.cuh": ("clip_global_norm.cu", "column_sums.cu"),
    "row_reduction.cuh": ("record_losses.cu",),
    "tensor_core_results.cuh": ("convolution2d_forward_tensor.cu",),
    "tensor_core_tile.cuh": ("convolution2d_forward_tensor.cu",),
}


class ChangedFile(Protocol):
    """A file of kernels that differs from the packaged one."""

    @property
    def file(self) -> str:
        """Its name."""

    @property
    def text(self) -> str:
        """All of it, with the change."""


@dataclass(frozen=True)
class Mutation:
    """A change to one place of a kernel file or header.

    Attributes:
        start: of the text that is replaced, as the next two.
        without: what stands there instead.
    """

    file: str
    start: int
    stop: int
    without: str = ";"

    @property
    def text(self) -> str:
        """The file with the change."""
        text = _text(self.file)
        return text[: self.start] + self.without + text[self.stop :]

    @property
    def line(self) -> int:
        """The number of the line, from 1."""
        return _text(self.file).count("\n", 0, self.start) + 1

    @property
    def code(self) -> str:
        """The line as it was."""
        return _text(self.file).splitlines()[self.line - 1].strip()

    @property
    def kernel_files(self) -> tuple[str, ...]:
        """The files whose kernels are changed by it."""
        return (self.file,) if self.file.endswith(".cu") else THROUGH[self.file]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.code}"


def orderings() -> list[Mutation]:
    """Each barrier, commit and wait of the packaged kernels replaced by nothing."""
    return [
        Mutation(file, *found.span()) for file in sorted(_files()) for found in ORDERING.finditer(_code(_text(file)))
    ]


def finding(mutation: Mutation) -> str | None:
    """The first thing that the check build finds, with file and line; None when it finds nothing in any order."""
    for kernel_file in mutation.kernel_files:
        with TemporaryDirectory() as folder:
            source = mutated_source(mutation, kernel_folder() / kernel_file, Path(folder))
            for settings in ORDERS:
                with emulator(settings) as device:
                    device.launcher = InsteadLauncher(device, source)
                    found = _found(device, kernel_file)
                if found:
                    return found
    return None


def mutated_source(changed: ChangedFile, kernel_file: Path, folder: Path) -> KernelSource:
    """A copy of the kernel file in that folder, with its headers beside it, so that they include each other."""
    original = KernelSource(kernel_file)
    for name, text in {**original.headers, kernel_file.name: original.text, changed.file: changed.text}.items():
        (folder / name).write_text(text)
    return KernelSource(folder / kernel_file.name)


class InsteadLauncher(Launcher):
    """Launches a source of its own in the place of the packaged one of its name."""

    def __init__(self, device: CudaDevice, source: KernelSource) -> None:
        self._packaged = device.launcher
        self._source = source

    def launch(
        self, file: str, kernel: str, grid: Grid, arguments: dict[str, object], choices: Choices = NO_CHOICES
    ) -> None:
        """Run a kernel: that of the source if the file has its name."""
        if file == self._source.path.name:
            self._packaged.launch_from(self._source, kernel, grid, arguments, choices)
        else:
            self._packaged.launch(file, kernel, grid, arguments, choices)


def _found(device: CudaDevice, kernel_file: str) -> str | None:
    for exercise in EXERCISES[kernel_file]:
        try:
            results_of(device, exercise)
        except DeviceError as error:
            _, is_finding, report = str(error).partition("the emulator found\n")
            if not is_finding:
                raise
            return report.splitlines()[0].strip()
    return None


def _files() -> Iterator[str]:
    for source in packaged_sources():
        yield source.path.name
    for header in kernel_folder().glob("*.cuh"):
        yield header.name


def _text(file: str) -> str:
    return (kernel_folder() / file).read_text()


def _code(text: str) -> str:
    """The text with blanks in the place of comments."""
    return re.sub(r"//[^\n]*", lambda comment: " " * len(comment[0]), text)


def main() -> None:
    """Print every mutation with its finding, and how many were found."""
    mutations = orderings()
    found = 0
    for mutation in mutations:
        report = finding(mutation)
        found += report is not None
        print(f"{'noticed ' if report else 'survives'} {mutation}\n         {report or ''}", flush=True)
    print(f"{found} of {len(mutations)} are noticed ({found / len(mutations):.1%})")


if __name__ == "__main__":
    main()
