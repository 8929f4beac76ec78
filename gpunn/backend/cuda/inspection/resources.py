"""Registers, spills and shared memory of kernels on an architecture, from the compiler alone, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context

from gpunn.backend.cuda.compiling.compile import COMPILE_OPTIONS, KernelResources, compile_kernels, compiler_version
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.cache import CacheFiles

#: What the kernels of one source need, by their names.
Resources = Mapping[str, KernelResources]

#: Fewer sources than this are not worth processes of their own, which start in about the time of one.
_FEW_SOURCES = 4


def measure_resources(
    sources: Sequence[KernelSource], architecture: str, files: CacheFiles, processes: int = 1
) -> Iterator[tuple[KernelSource, Resources]]:
    """Each source with what its kernels need, as soon as it is known.

    Args:
        sources: with nothing left open.
        architecture: such as "90".
        files: where results are kept by all that they depend on.
        processes: how many compile at once.

    Raises:
        DeviceError: when NVRTC is not installed, or refuses a source.
    """
    version = compiler_version()
    names = {source: _key(source, architecture, version) for source in sources}
    missing = []
    for source in sources:
        kept = _read(files, names[source])
        if kept is None:
            missing.append(source)
        else:
            yield source, kept
    for source, resources in zip(missing, _compile_all(missing, architecture, processes), strict=True):
        kernels = {kernel: asdict(needs) for kernel, needs in resources.items()}
        files.write(names[source], json.dumps(kernels).encode())
        yield source, resources


def _compile_all(sources: Sequence[KernelSource], architecture: str, processes: int) -> Iterator[Resources]:
    if processes == 1 or len(sources) < _FEW_SOURCES:
        yield from (_compile((source, architecture)) for source in sources)
        return
    with ProcessPoolExecutor(min(processes, len(sources)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_compile, [(source, architecture) for source in sources])


def _compile(wanted: tuple[KernelSource, str]) -> Resources:
    return compile_kernels(*wanted).resources


def _read(files: CacheFiles, name: str) -> Resources | None:
    """What was kept; None when there is nothing, or nothing that makes sense."""
    try:
        kernels = json.loads(files.read(name) or b"null")
        return {kernel: KernelResources(**needs) for kernel, needs in kernels.items()}
    except (ValueError, TypeError, AttributeError):
        return None


def _key(source: KernelSource, architecture: str, version: tuple[int, int]) -> str:
    """A file name from everything that the result is made from."""
    parts = [architecture, str(version), COMPILE_OPTIONS, source.definitions, source.name, source.text, source.headers]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{source.path.stem}-sm_{architecture}-{digest[:32]}.json"
