"""Which files of the cache of compiled kernels are damaged: their digest is not that of what they hold."""

from __future__ import annotations

from typing import Any

from gpunn.backend.cuda.compiling.compile import CompiledKernels, compiler_version
from gpunn.backend.cuda.compiling.compile_cache import CompileCache, Compiler
from gpunn.backend.cuda.launching.source import KernelSource, packaged_sources
from gpunn.cache import CacheFiles, cache_folder


class _NotKeptError(Exception):
    """The cache asks for what it has not."""


class _Watched(CacheFiles):
    """Remembers the last file that was there."""

    last: str | None = None

    def read(self, name: str) -> bytes | None:
        found = super().read(name)
        self.last = None if found is None else name
        return found


def answer() -> dict[str, Any]:
    """{"files": how many kernels of this version are kept, "damaged": names}."""
    files = _Watched(cache_folder("cubins"))
    kept = {path.name for path in files.folder.glob("*.cubin")}
    if not kept:
        return {"files": 0, "damaged": []}
    cache = CompileCache(files, Compiler("NVRTC {}.{}".format(*compiler_version()), _refuse))
    stems = {name.partition("-sm_")[0] for name in kept}
    good, damaged = 0, []
    for source in packaged_sources():
        if source.path.stem not in stems:
            continue
        for variant in source.variants():
            for architecture in source.architectures:
                try:
                    cache.cubin(variant, architecture)
                    good += 1
                except _NotKeptError:
                    damaged += [files.last] if files.last else []
    return {"files": good + len(damaged), "damaged": damaged}


def _refuse(source: KernelSource, architecture: str) -> CompiledKernels:
    raise _NotKeptError
