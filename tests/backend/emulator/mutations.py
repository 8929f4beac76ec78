"""Kernels with one barrier, commit or wait taken out: launches that were kept run again, and a finding is due."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.backend.cuda.launching.arguments import BoundArgument
from gpunn.backend.cuda.launching.device_memory import ALIGNMENT
from gpunn.backend.cuda.launching.launch import CheckedLaunch, Executor
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError

ORDERING = re.compile(r"\b(?:__sync(?:threads|warp)\(\)|copy_async_commit\(\)|copy_async_wait<[^>;]+>\(\));")

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mutation:
    """A statement to take out: the file it stands in, its line, its text, and where in the file it starts."""

    file: str
    line: int
    text: str
    start: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} without {self.text}"


def mutations(sources: Iterable[KernelSource]) -> list[Mutation]:
    """One for each ordering statement of these sources and the headers that they include."""
    texts: dict[str, str] = {}
    for source in sources:
        texts |= {source.path.name: source.text, **source.headers}
    return [
        Mutation(file, text.count("\n", 0, match.start()) + 1, match[0], match.start())
        for file, text in sorted(texts.items())
        for match in ORDERING.finditer(text)
    ]


class LaunchKeeper:
    """An executor that keeps a copy of what it is given, and hands it on.

    Args:
        executor: what runs the launches.
        most: launches to keep of each kernel of each variant of a source; they differ in grid or in numbers.
    """

    def __init__(self, executor: Executor, most: int = 4) -> None:
        self.kept: list[CheckedLaunch] = []
        self._executor = executor
        self._most = most
        self._seen: set[tuple[Any, ...]] = set()
        self._count: Counter[tuple[KernelSource, str]] = Counter()

    def execute(self, launch: CheckedLaunch) -> None:
        """Keep the launch unless there are enough like it, and run it."""
        kernel = (launch.source, launch.signature.name)
        numbers = tuple(a.value.tobytes() for a in launch.arguments if not a.parameter.is_pointer)
        key = (*kernel, launch.grid, numbers)
        if key not in self._seen and self._count[kernel] < self._most:
            self._seen.add(key)
            self._count[kernel] += 1
            self.kept.append(with_own_arrays(launch))
        self._executor.execute(launch)

    def close(self) -> None:
        """Close what runs the launches."""
        self._executor.close()


def with_own_arrays(launch: CheckedLaunch) -> CheckedLaunch:
    """The launch with copies of its arrays, laid out and aligned alike; an array that was passed twice stays one."""
    copies: dict[tuple[Any, ...], Host] = {}

    def copied(argument: BoundArgument) -> BoundArgument:
        array = argument.value
        if not argument.parameter.is_pointer or array is None:
            return argument
        key = (array.ctypes.data, array.shape, array.strides, array.dtype)
        if key not in copies:
            copies[key] = _copy(array)
        return replace(argument, value=copies[key])

    return replace(launch, arguments=tuple(map(copied, launch.arguments)))


def _copy(array: Host) -> Host:
    offset = array.ctypes.data % ALIGNMENT
    span = sum((extent - 1) * stride for extent, stride in zip(array.shape, array.strides, strict=True))
    memory = HostMemory().allocate(offset + (span + array.itemsize if array.size else 0))
    copy: Host = np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    copy[...] = array
    return copy


def finding(mutation: Mutation, kept: Sequence[CheckedLaunch], executor: Executor, folder: Path) -> str | None:
    """What the executor says when the kept launches run without the statement; None when it says nothing.

    Args:
        mutation: what to take out.
        kept: launches; those of other files are left out.
        executor: of the check build.
        folder: an empty one, for the changed files.
    """
    for launch in kept:
        source = launch.source
        if mutation.file not in {source.path.name, *source.headers}:
            continue
        try:
            executor.execute(replace(with_own_arrays(launch), source=_mutated(source, mutation, folder)))
        except DeviceError as error:
            if "the emulator found" not in str(error):
                raise
            return str(error)
    return None


def _mutated(source: KernelSource, mutation: Mutation, folder: Path) -> KernelSource:
    """A copy of the source and its headers in the folder, one of them changed."""
    for name, text in {source.path.name: source.text, **source.headers}.items():
        changed = text[: mutation.start] + ";" + text[mutation.start + len(mutation.text) :]
        (folder / name).write_text(changed if name == mutation.file else text)
    return replace(source, path=folder / source.path.name)
