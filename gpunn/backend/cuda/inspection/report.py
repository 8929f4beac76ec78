"""What the compiler makes of every kernel, for every choice and every architecture: no GPU is needed to know it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context

from gpunn.backend.cuda.compiling.compile import COMPILE_OPTIONS, compile_kernels, compiler_version
from gpunn.backend.cuda.convolution_kernels.tensor_core import Tile
from gpunn.backend.cuda.inspection.cubin import kernel_codes
from gpunn.backend.cuda.inspection.disassembly import Instructions, count_instructions, disassembler
from gpunn.backend.cuda.inspection.occupancy import occupancy
from gpunn.backend.cuda.launching.launch import STRIDING_BLOCK
from gpunn.backend.cuda.launching.source import ARCHITECTURES, KernelSource
from gpunn.cache import CacheFiles

#: Jobs that a process takes at a time, and after which results are kept.
_BATCH = 16
#: A choice that is the tile of a matrix product on tensor cores.
_TILE = re.compile(r"(?P<kind>aligned|padded)_(?P<rows>\d+)x(?P<columns>\d+)")
#: Part of the name under which results are kept: raise it when the same inputs would be reported differently.
_FORM = "1"


@dataclass(frozen=True)
class KernelReport:
    """One kernel with its choices, on one architecture.

    Attributes:
        kernel: its name with the choices, such as "relu_forward<bfloat16>".
        file: the source's name.
        architecture: such as "90a".
        registers: of a thread.
        spill_bytes: stored and loaded because registers did not suffice.
        shared_bytes: of a block, static and dynamic; what depends on the arguments of a launch is not counted.
        occupancy: the share of a multiprocessor's warps that the kernel can fill, with the largest block that it is
            compiled for (256 threads when it names none).
        tensor_core_instructions: products of matrices in the machine code.
        wide_loads: instructions that load 16 bytes a thread or more, from global or shared memory.
    """

    kernel: str
    file: str
    architecture: str
    registers: int
    spill_bytes: int
    shared_bytes: int
    occupancy: float
    tensor_core_instructions: int
    wide_loads: int


@dataclass(frozen=True)
class Job:
    """A source with nothing left open, and the architecture it is compiled for."""

    source: KernelSource
    architecture: str


@dataclass(frozen=True)
class _Compiled:
    """One kernel before its instructions are counted."""

    name: str
    registers: int
    spill_bytes: int
    static_shared: int
    threads: int
    code: bytes


def jobs(sources: Iterable[KernelSource], architectures: Sequence[str] | None = None) -> list[Job]:
    """Every combination of choices of every source, for each of its architectures that is among those given."""
    return [
        Job(variant, architecture)
        for source in sources
        for variant in source.variants()
        for architecture in source.architectures
        if architectures is None or architecture in architectures
    ]


def report(wanted: Sequence[Job], processes: int = 1, files: CacheFiles | None = None) -> list[KernelReport]:
    """A report on every kernel, in the order of the jobs; see `measure`."""
    return in_order(wanted, measure(wanted, processes, files))


def in_order(wanted: Sequence[Job], measured: Iterable[tuple[Job, list[KernelReport]]]) -> list[KernelReport]:
    """What was measured, in the order of the jobs."""
    found = dict(measured)
    return [one for job in wanted for one in found[job]]


def measure(
    wanted: Sequence[Job], processes: int = 1, files: CacheFiles | None = None
) -> Iterator[tuple[Job, list[KernelReport]]]:
    """Each job with the reports on its kernels, as soon as they are there.

    Args:
        wanted: from `jobs`.
        processes: how many compile at once.
        files: where results are kept by all that they depend on; None keeps none.

    Raises:
        DeviceError: when the compiler or the disassembler is missing, or refuses a source.
    """
    missing = []
    for job in wanted:
        kept = _read(files, job) if files else None
        if kept is None:
            missing.append(job)
        else:
            yield job, kept
    for job, reports in _measure(missing, processes):
        if files:
            files.write(_key(job), json.dumps([asdict(one) for one in reports]).encode())
        yield job, reports


def _measure(missing: Sequence[Job], processes: int) -> Iterator[tuple[Job, list[KernelReport]]]:
    batches = list(_batches(missing))
    for batch, reports in zip(batches, _spread(batches, processes), strict=True):
        yield from zip(batch, reports, strict=True)


def _batches(missing: Sequence[Job]) -> Iterator[list[Job]]:
    for architecture in ARCHITECTURES:
        group = [job for job in missing if job.architecture == architecture]
        for first in range(0, len(group), _BATCH):
            yield group[first : first + _BATCH]


def _spread(batches: Sequence[list[Job]], processes: int) -> Iterator[list[list[KernelReport]]]:
    if processes == 1 or len(batches) <= 1:
        yield from map(_measure_batch, batches)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_measure_batch, batches)


def _measure_batch(batch: Sequence[Job]) -> list[list[KernelReport]]:
    """Jobs of one architecture, which share a run of the disassembler."""
    compiled = [_compile(job) for job in batch]
    codes = [kernel.code for kernels in compiled for kernel in kernels]
    counts = iter(count_instructions(batch[0].architecture, codes))
    return [
        [_reported(job, kernel, next(counts)) for kernel in kernels]
        for job, kernels in zip(batch, compiled, strict=True)
    ]


def _reported(job: Job, kernel: _Compiled, count: Instructions) -> KernelReport:
    shared = kernel.static_shared + dynamic_shared_bytes(job.source)
    return KernelReport(
        kernel=kernel.name + job.source.suffix,
        file=job.source.path.name,
        architecture=job.architecture,
        registers=kernel.registers,
        spill_bytes=kernel.spill_bytes,
        shared_bytes=shared,
        occupancy=occupancy(job.architecture, kernel.threads, kernel.registers, shared),
        tensor_core_instructions=count.tensor_core,
        wide_loads=count.wide_loads,
    )


def dynamic_shared_bytes(source: KernelSource) -> int:
    """What a launch gives kernels that were compiled for a tile of a matrix product; 0 for other kernels."""
    tiles = (_TILE.fullmatch(word) for _, word in source.chosen)
    return sum(
        Tile(int(tile["rows"]), int(tile["columns"]), tile["kind"] == "aligned", rate=1.0).shared_bytes
        for tile in tiles
        if tile
    )


def _compile(job: Job) -> list[_Compiled]:
    compiled = compile_kernels(job.source, job.architecture)
    codes = kernel_codes(compiled.cubin)
    return [
        _Compiled(
            name=name,
            registers=needs.registers,
            spill_bytes=needs.spill_stores + needs.spill_loads,
            static_shared=needs.static_shared,
            threads=codes[name].largest_block or STRIDING_BLOCK,
            code=codes[name].code,
        )
        for name, needs in sorted(compiled.resources.items())
    ]


def _read(files: CacheFiles, job: Job) -> list[KernelReport] | None:
    kept = files.read(_key(job))
    if kept is None:
        return None
    try:
        found = [KernelReport(**values) for values in json.loads(kept)]
    except (ValueError, TypeError):
        return None
    return found


def _key(job: Job) -> str:
    """A file name from everything that the result is made from."""
    source = job.source
    headers = (part for name in sorted(source.headers) for part in (name, source.headers[name]))
    tools = (str(compiler_version()), str(disassembler().stat().st_size))
    options = (job.architecture, *COMPILE_OPTIONS, *source.definitions, str(dynamic_shared_bytes(source)))
    parts = (_FORM, *tools, *options, source.name, source.text, *headers)
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{source.path.stem}-sm_{job.architecture}-{digest[:32]}.json"
