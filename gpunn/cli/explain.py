"""gpunn explain."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import ClassesOption, InputOption, JsonOption, ModelArgument, parse_shape
from gpunn.cores import available_cores
from gpunn.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from gpunn.backend.cuda.inspection.resources import Resources
    from gpunn.backend.cuda.launching.source import KernelSource
    from gpunn.cli.columns import Column
    from gpunn.explaining.explanation import Explanation
    from gpunn.explaining.hardware import Hardware
    from gpunn.timing.contestant import Task
    from gpunn.timing.report import Ceilings

#: What is explained unless something else is asked for: what these devices train networks of ImageNet in.
_BATCH = 128
_ON_GPU, _ON_CPU = "bfloat16", "float32"

#: Rows that even a low terminal gets, and what is said where some share a line.
_FEWEST_ROWS = 8
_TOGETHER = "layers that take the least are told together, for want of height; a higher terminal has each, and a pipe"


def explain(
    model: ModelArgument,
    device: Annotated[str, typer.Option(help="h100, a100 or rtx4090, none of which needs to be here; or cpu.")],
    batch: Annotated[int, typer.Option(min=1, help="Images of a step.")] = _BATCH,
    precision: Annotated[
        str | None,
        typer.Option(
            help=f"float32, tf32, bfloat16, float16, or float64 (CPU); {_ON_GPU} unless told, {_ON_CPU} on the CPU."
        ),
    ] = None,
    image: InputOption = None,
    classes: ClassesOption = None,
    calls: Annotated[bool, typer.Option("--calls", help="A line for every launch instead of every layer.")] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measured times to set beside the floors, from gpunn time --json or python -m benchmarks.gpu; "
            "the newest in benchmarks/results that fits, if there is one.",
        ),
    ] = None,
    tuning: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the kernels that were measured to be fastest: a file of the cache's folder tuning, or a "
            "checkpoint of a run on such a GPU.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a whole training step as it would run on a device that is not here: no GPU is needed.

    Each layer with its kernel, tile, grid and waves, what the compiled kernel takes of registers and how many of a
    multiprocessor's warps it fills, bytes, FLOPs, and the floor that they imply: no device with these ceilings is
    faster, unless a cache keeps what one call leaves for the next. Where a terminal lacks lines, the layers that take
    the least share some; a pipe has one for each. Compiling takes some seconds the first time. Example:

    gpunn explain vgg16 --device h100
    """
    from gpunn.explaining.hardware import find_hardware
    from gpunn.explaining.measured import Wanted, newest_measured, read_measured, with_measured
    from gpunn.models import model as find_model
    from gpunn.timing.contestant import Task

    chosen = find_model(model)
    device = device.lower()
    hardware = None if device == "cpu" else find_hardware(device)
    shape = parse_shape(image) if image is not None else chosen.image
    task = Task(
        chosen, batch, precision or (_ON_CPU if hardware is None else _ON_GPU), shape, classes or chosen.classes
    )
    wanted = Wanted(chosen.name, batch, task.precision, "cpu" if hardware is None else hardware.word)
    # Results do not say how large the pictures were: those that nobody named are of networks as they were designed.
    as_designed = (task.image, task.classes) == (chosen.image, chosen.classes)
    found = newest_measured(wanted) if results is None and as_designed else None
    measured = found if results is None else read_measured(results, wanted)
    notes: list[str] = []
    ceilings = None if measured is None else measured.ceilings
    explanation = (
        _on_cpu(task, tuning, ceilings) if hardware is None else _on_gpu(task, device, hardware, tuning, notes)
    )
    if measured is not None:
        explanation = with_measured(explanation, measured)
    if as_json:
        print(json.dumps(explanation.as_json()))
    else:
        _print(explanation, calls, notes)


def _on_cpu(task: Task, tuning: Path | None, ceilings: Ceilings | None) -> Explanation:
    from gpunn.backend.cpu.device import open_cpu
    from gpunn.explaining.cpu import explain_on_cpu

    if tuning is not None:
        raise UsageError("--tuning is for GPUs; leave it out with --device cpu")
    device = open_cpu()
    try:
        return explain_on_cpu(task, device, ceilings)
    finally:
        device.close()


def _on_gpu(task: Task, device: str, hardware: Hardware, tuning: Path | None, notes: list[str]) -> Explanation:
    from gpunn.explaining.gpu import NO_CHOICES, GpuStep
    from gpunn.explaining.kernel_choices import read_choices

    choices = NO_CHOICES if tuning is None else read_choices(tuning, hardware.architecture)
    step = GpuStep(task, device, hardware, choices)
    return step.explain(_compiled(step.sources, hardware.architecture, notes))


def _compiled(sources: Sequence[KernelSource], architecture: str, notes: list[str]) -> dict[KernelSource, Resources]:
    """What kernels need; nothing, and a note, without a compiler."""
    from tqdm import tqdm

    from gpunn.backend.cuda.compiling.compile import compiler_version
    from gpunn.backend.cuda.inspection.resources import measure_resources
    from gpunn.cache import CacheFiles, cache_folder

    try:
        compiler_version()
    except DeviceError as error:
        notes.append(f"registers, occupancy and waves need the compiler: {error}")
        return {}
    files = CacheFiles(cache_folder("kernel_resources"))
    measured = measure_resources(sources, architecture, files, available_cores())
    return dict(tqdm(measured, "compiling", len(sources), leave=False, dynamic_ncols=True, disable=None))


def terminal_size() -> os.terminal_size | None:
    """Of the terminal that is written to; None where it is a file or another program."""
    return shutil.get_terminal_size() if sys.stdout.isatty() else None


def _print(explanation: Explanation, calls: bool, notes: Sequence[str]) -> None:
    from gpunn.cli.explain_tables import launch_columns

    size = terminal_size()
    if calls:
        page = _page(explanation, launch_columns(explanation), size, notes)
    else:
        page = _layers_at_once(explanation, size, notes)
    print("\n".join(page))


def _layers_at_once(explanation: Explanation, size: os.terminal_size | None, notes: Sequence[str]) -> list[str]:
    """A line for each layer and phase, or fewer, so that no line scrolls away."""
    from gpunn.cli.explain_tables import layer_columns
    from gpunn.explaining.folding import folded

    page = _page(explanation, layer_columns(explanation), size, notes)
    for count in range(len(explanation.rows) - 1, _FEWEST_ROWS - 1, -1):
        if size is None or _height(page, size) < size.lines:
            break
        fewer = replace(explanation, rows=folded(explanation.rows, count))
        page = _page(fewer, layer_columns(fewer), size, [*notes, _TOGETHER])
    return page


def _height(page: Sequence[str], size: os.terminal_size) -> int:
    """Lines of the terminal, which breaks those that are too long."""
    return sum(max(1, -(-len(line) // size.columns)) for line in page)


def _page(
    explanation: Explanation, columns: Sequence[Column], size: os.terminal_size | None, notes: Sequence[str]
) -> list[str]:
    from gpunn.cli.columns import fitting
    from gpunn.cli.explain_tables import heading, totals
    from gpunn.cli.table import table

    kept, left_out = fitting(columns, None if size is None else size.columns)
    rows = list(zip(*(column.cells for column in kept), strict=True))
    numbers = [index for index, column in enumerate(kept) if column.is_number]
    page = [
        heading(explanation),
        *table([column.title for column in kept], rows, numbers).splitlines(),
        *totals(explanation),
    ]
    if left_out:
        titles = ", ".join(column.title for column in left_out)
        page.append(f"left out, for want of width: {titles}; a wider terminal has them, and --json")
    return [*page, *notes]
