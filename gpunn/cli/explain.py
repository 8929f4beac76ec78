"""gpunn explain."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import ClassesOption, InputOption, JsonOption, ModelArgument, parse_shape
from gpunn.cores import available_cores
from gpunn.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from gpunn.backend.cuda.inspection.resources import Resources
    from gpunn.backend.cuda.launching.source import KernelSource
    from gpunn.explaining.explanation import Explanation
    from gpunn.timing.contestant import Task

#: What is explained unless something else is asked for: what these devices train networks of ImageNet in.
_BATCH = 128
_ON_GPU, _ON_CPU = "bfloat16", "float32"


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
    faster. Compiling takes some seconds the first time. Example:

    gpunn explain vgg16 --device h100
    """
    from gpunn.explaining.hardware import find_hardware
    from gpunn.explaining.measured import Wanted, newest_measured, read_measured, with_measured
    from gpunn.models import model as find_model
    from gpunn.timing.contestant import Task

    chosen = find_model(model)
    shape = parse_shape(image) if image is not None else chosen.image
    number_types = precision or (_ON_CPU if device == "cpu" else _ON_GPU)
    task = Task(chosen, batch, number_types, shape, classes or chosen.classes)
    notes: list[str] = []
    if device == "cpu":
        explanation, word = _on_cpu(task, tuning), "cpu"
    else:
        hardware = find_hardware(device)
        explanation, word = _on_gpu(task, device, tuning, notes), hardware.word
    wanted = Wanted(chosen.name, batch, number_types, word)
    measured = newest_measured(wanted) if results is None else read_measured(results, wanted)
    if measured is not None:
        explanation = with_measured(explanation, measured)
    if as_json:
        print(json.dumps(explanation.as_json()))
    else:
        _print(explanation, calls, notes)


def _on_cpu(task: Task, tuning: Path | None) -> Explanation:
    from gpunn.backend.cpu.device import open_cpu
    from gpunn.explaining.cpu import explain_on_cpu

    if tuning is not None:
        raise UsageError("--tuning is for GPUs; leave it out with --device cpu")
    device = open_cpu()
    try:
        return explain_on_cpu(task, device)
    finally:
        device.close()


def _on_gpu(task: Task, device: str, tuning: Path | None, notes: list[str]) -> Explanation:
    from gpunn.explaining.gpu import NO_CHOICES, GpuStep
    from gpunn.explaining.hardware import find_hardware
    from gpunn.explaining.kernel_choices import read_choices

    hardware = find_hardware(device)
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


def _print(explanation: Explanation, calls: bool, notes: Sequence[str]) -> None:
    from gpunn.cli.table import table
    from gpunn.explaining.columns import fitting
    from gpunn.explaining.text import heading, launch_columns, layer_columns, totals

    # What is read by a program, or kept in a file, is as wide as it is.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    columns, left_out = fitting(launch_columns(explanation) if calls else layer_columns(explanation), width)
    rows = list(zip(*(column.cells for column in columns), strict=True))
    numbers = [index for index, column in enumerate(columns) if column.is_number]
    print(heading(explanation))
    print(table([column.title for column in columns], rows, numbers))
    for line in totals(explanation):
        print(line)
    if left_out:
        titles = ", ".join(column.title for column in left_out)
        print(f"left out, for want of width: {titles}; a wider terminal has them, and --json")
    for note in notes:
        print(note)
