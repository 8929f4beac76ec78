"""Machine code that was compiled before, on disk: a process that finds it starts without the compiler."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gpunn.backend.cuda.compiling.compile import COMPILE_OPTIONS, CompiledKernels
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.cache import CacheFiles


@dataclass(frozen=True)
class Compiler:
    """What compiles, and its version, which a result depends on."""

    version: str
    compile: Callable[[KernelSource, str], CompiledKernels]


class CompileCache:
    """Cubins by everything that they are made from: texts, options, architecture and compiler.

    Time stamps play no part. A file begins with the digest of its key and its cubin; one that does not agree is
    compiled anew and replaced.
    """

    def __init__(self, files: CacheFiles, compiler: Compiler) -> None:
        self._files = files
        self._compiler = compiler

    def cubin(self, source: KernelSource, architecture: str) -> bytes:
        """The machine code of a source for an architecture such as "90".

        Raises:
            DeviceError: when the compiler is missing or refuses the source.
        """
        key = self._key(source, architecture)
        name = f"{source.path.stem}-sm_{architecture}-{key.hex()[:32]}.cubin"
        kept = self._files.read(name)
        if kept is not None:
            digest, cubin = kept[: len(key)], kept[len(key) :]
            if digest == _digest(key, cubin):
                return cubin
        cubin = self._compiler.compile(source, architecture).cubin
        self._files.write(name, _digest(key, cubin) + cubin)
        return cubin

    def _key(self, source: KernelSource, architecture: str) -> bytes:
        headers = (part for name in sorted(source.headers) for part in (name, source.headers[name]))
        options = (*COMPILE_OPTIONS, *source.definitions)
        texts = (self._compiler.version, architecture, str(len(options)), *options, source.name, source.text, *headers)
        return _digest(*(text.encode() for text in texts))


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts, each with its length, so that no two lists of parts run together."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little") + part)
    return sha.digest()
