"""The real compiler, NVRTC, which needs no GPU: from a kernel source to machine code for one architecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.errors import DeviceError

#: The same for continuous integration and for GPUs. There is no fast maths, and a * b + c is contracted only where a
#: kernel writes fmaf, so that roundings are the source's own and equal the emulator's.
COMPILE_OPTIONS = ("-std=c++17", "--fmad=false", "--generate-line-info", "--ptxas-options=-v")

_RESOURCES = re.compile(
    r"entry function '(?P<kernel>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<spill_stores>\d+) bytes spill stores, "
    r"(?P<spill_loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class KernelResources:
    """What one kernel needs of a multiprocessor, in registers a thread and bytes."""

    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    static_shared: int


@dataclass(frozen=True)
class CompiledKernels:
    """The machine code of one source, and what the compiler said about it."""

    architecture: str
    cubin: bytes
    log: str
    resources: dict[str, KernelResources]


def compile_kernels(source: KernelSource, architecture: str) -> CompiledKernels:
    """Compile a source for an architecture such as "80" or "90a".

    Raises:
        DeviceError: when NVRTC is not installed, or refuses the source; the text holds the compiler's log.
    """
    nvrtc = _nvrtc()
    headers = source.headers
    name = source.name
    program = _checked(
        nvrtc.nvrtcCreateProgram(
            source.text.encode(),
            name.encode(),
            len(headers),
            [text.encode() for text in headers.values()],
            [header.encode() for header in headers],
        ),
        f"{name}: NVRTC cannot start",
    )
    try:
        options = [
            option.encode()
            for option in (f"--gpu-architecture=sm_{architecture}", *COMPILE_OPTIONS, *source.definitions)
        ]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if int(status):
            raise DeviceError(f"{name} does not compile for sm_{architecture}:\n{log.strip()}")
        cubin = _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return CompiledKernels(architecture, cubin, log, parse_resources(log))


def parse_resources(log: str) -> dict[str, KernelResources]:
    """Registers, spills and shared memory of each kernel from the log of ptxas -v."""
    found = {}
    for match in _RESOURCES.finditer(log):
        shared = _SHARED.search(match["rest"])
        found[match["kernel"]] = KernelResources(
            registers=int(match["registers"]),
            spill_stores=int(match["spill_stores"]),
            spill_loads=int(match["spill_loads"]),
            stack=int(match["stack"]),
            static_shared=int(shared[1]) if shared else 0,
        )
    return found


def compiler_version() -> tuple[int, int]:
    """NVRTC's version, such as (13, 0).

    Raises:
        DeviceError: when it is not installed.
    """
    status, major, minor = _nvrtc().nvrtcVersion()
    _checked((status, None), "NVRTC has no version")
    return int(major), int(minor)


def compiler_architectures() -> list[int]:
    """The compute capabilities that NVRTC compiles for, such as 75 and 90.

    Raises:
        DeviceError: when it is not installed.
    """
    nvrtc = _nvrtc()
    count = _checked(nvrtc.nvrtcGetNumSupportedArchs(), "NVRTC knows no architectures")
    status, found = nvrtc.nvrtcGetSupportedArchs()
    return [int(architecture) for architecture in _checked((status, found), "NVRTC knows no architectures")[:count]]


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise DeviceError(
            f'the compiler NVRTC is not installed ({error}); pip install "gpunn[kernels]", or "gpunn[cuda13]" '
            "to train on a GPU"
        ) from None
    return nvrtc


def _checked(result: tuple[Any, ...], what: str) -> Any:
    status, value = result
    if int(status):
        raise DeviceError(f"{what}: NVRTC reports {status.name}")
    return value


def _read(size: Any, read: Any, program: Any) -> bytes:
    """NVRTC fills a buffer of the size that it names."""
    buffer = b" " * int(_checked(size(program), "NVRTC gives no result"))
    read(program, buffer)
    return buffer
