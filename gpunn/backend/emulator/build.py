"""Builds the emulator's runtime and kernels with g++, into a cache folder that processes may share."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gpunn.backend.cuda.launching.source import KernelSource, kernel_folder
from gpunn.cache import cache_folder
from gpunn.errors import DeviceError

#: What kernels are compiled behind: cuda_host.h and all that it includes.
HOST_HEADERS = ("cuda_host.h", "cuda_atomics.h", "cuda_maths.h", "cuda_vectors.h", "cuda_warp.h", "interface.h")

_RUNTIME = Path(__file__).parent / "runtime"
_RUNTIME_SOURCES = (
    "fiber.cpp",
    "findings.cpp",
    "library.cpp",
    "shared_memory.cpp",
    "global_memory.cpp",
    "recorder.cpp",
    "block.cpp",
    "warp.cpp",
    "warp_matrices.cpp",
    "asynchronous_copies.cpp",
    "checks.cpp",
    "device_calls.cpp",
    "launch.cpp",
)
_COMMON_FLAGS = ("-std=c++17", "-fPIC", "-march=native")
# Kernels see one type's memory through another (float4 over floats), as CUDA allows; and a * b + c is contracted only
# where a kernel writes fmaf, as on the GPU: see gpunn.backend.cuda.compiling.compile. No unique symbols, and what a
# library defines wins (-Bsymbolic below): shared memory of a template that several libraries have, and kernels that are
# named like a function of the C library, are each library's own.
_KERNEL_FLAGS = (*_COMMON_FLAGS, "-fno-strict-aliasing", "-ffp-contract=off", "-fno-gnu-unique", "-w")
_FAST_FLAGS = ("-O3", "-fno-math-errno")
# Loads and stores become calls into the runtime. Little optimisation: each must keep the line it came from.
_CHECK_FLAGS = (
    "-O1",
    "-gdwarf-4",
    "-fno-tree-sra",
    "-fsanitize=thread",
    "-fsanitize=bounds-strict",
    "--param",
    "tsan-instrument-func-entry-exit=0",
)
# Without optimisation each branch of the source is one of the machine code; several OS threads count at once.
_COVERAGE_FLAGS = ("-O0", "--coverage", "-fprofile-update=atomic", "-fno-exceptions", "-DGPUNN_EMULATOR_COVERAGE")
_WRITE_COVERAGE = """extern "C" void __gcov_dump();
extern "C" void emulator_write_coverage() { __gcov_dump(); }
"""


@dataclass(frozen=True)
class KernelLibrary:
    """The shared library of one kernel source."""

    path: Path
    runtime: Path


@dataclass(frozen=True)
class _Job:
    """One call of g++: `unit` is what it compiles, `texts` are all files that the unit includes."""

    name: str
    unit: str
    texts: tuple[str, ...]
    flags: tuple[str, ...]
    include_folders: tuple[Path, ...]
    link: tuple[str, ...] = ()


def compiler() -> str:
    """The path of g++.

    Raises:
        DeviceError: when there is none, or the machine is not one the emulator runs on.
    """
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise DeviceError(
            f"the emulator runs on Linux on x86-64, not on {platform.system()} on {platform.machine()}; "
            "use --device cpu"
        )
    found = shutil.which("g++")
    if found is None:
        raise DeviceError(
            "the emulator builds its kernels with g++, which is not on the PATH; "
            "install it (Debian, Ubuntu: apt install g++) or use --device cpu"
        )
    return found


def build_runtime() -> Path:
    """The library that runs kernels, built at the first call."""
    unit = "".join(f'#include "{name}"\n' for name in _RUNTIME_SOURCES)
    texts = tuple(path.read_text() for path in sorted(_RUNTIME.iterdir()) if path.suffix in (".h", ".cpp"))
    flags = (*_COMMON_FLAGS, "-O2", "-fno-semantic-interposition", "-shared", "-pthread")
    return _build(_Job("runtime", unit, texts, flags, (_RUNTIME,)))


def build_kernels(source: KernelSource, check: bool) -> KernelLibrary:
    """The library of a kernel source, built at the first call.

    Raises:
        DeviceError: when g++ is missing or refuses the source.
    """
    runtime = build_runtime()
    job = _kernel_job(source, runtime, _CHECK_FLAGS if check else _FAST_FLAGS)
    return KernelLibrary(_build(job), runtime)


def build_kernels_for_coverage(source: KernelSource, folder: Path) -> KernelLibrary:
    """A library that counts how often each branch is taken, built anew in a folder of its own within `folder`.

    Its function emulator_write_coverage leaves the counts beside it, for gcov.

    Raises:
        DeviceError: when g++ is missing or refuses the source.
    """
    runtime = build_runtime()
    job = _kernel_job(source, runtime, _COVERAGE_FLAGS)
    job = replace(job, unit=job.unit + _WRITE_COVERAGE, link=("-lgcov", *job.link))
    folder.mkdir(parents=True, exist_ok=True)
    return KernelLibrary(_compile(job, Path(tempfile.mkdtemp(dir=folder))), runtime)


def _kernel_job(source: KernelSource, runtime: Path, flags: tuple[str, ...]) -> _Job:
    exports = "".join(f"EMULATOR_EXPORT({name})\n" for name in source.signatures)
    unit = f'#include "cuda_host.h"\n#include "{source.path.name}"\n{exports}'
    host_headers = tuple((_RUNTIME / name).read_text() for name in HOST_HEADERS)
    return _Job(
        name=source.path.stem,
        unit=unit,
        texts=(source.text, *source.headers.values(), *host_headers),
        flags=(*_KERNEL_FLAGS, *flags, *source.definitions, "-shared"),
        include_folders=(source.path.parent, kernel_folder(), _RUNTIME),
        # The sanitizers' own libraries are kept out: the runtime answers the calls that their flags insert.
        link=("-Wl,-Bsymbolic", "-nodefaultlibs", str(runtime), "-lstdc++", "-lm", "-lgcc_s", "-lc"),
    )


def _build(job: _Job) -> Path:
    # Folders do not count: what they hold does, and it is all in the texts.
    key = _key(job.unit, *job.texts, *job.flags, *job.link, _compiler_version(compiler()), _processor())
    folder = cache_folder("emulator")
    library = folder / f"{job.name}-{key}.so"
    if library.exists():
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            # Another process may build the same file: whoever renames last wins, and both are whole.
            os.replace(_compile(job, Path(work)), library)
    except OSError as error:
        raise DeviceError(
            f"the emulator cannot write its cache {folder} ({error.strerror}); set GPUNN_CACHE to a folder it may write"
        ) from None
    return library


def _compile(job: _Job, folder: Path) -> Path:
    """The library, built in that folder."""
    source = folder / f"{job.name}.cpp"
    source.write_text(job.unit)
    library = folder / f"{job.name}.so"
    includes = [f"-I{include}" for include in job.include_folders]
    command = [compiler(), *job.flags, *includes, str(source), "-o", str(library), *job.link]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DeviceError(f"g++ cannot build {job.name} for the emulator:\n{result.stderr.strip()}")
    return library


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@cache
def _compiler_version(gxx: str) -> str:
    return subprocess.run([gxx, "--version"], capture_output=True, text=True, check=False).stdout


@cache
def _processor() -> str:
    """The instructions this processor knows: a cache on a shared disk may meet several."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith("flags")), "")
