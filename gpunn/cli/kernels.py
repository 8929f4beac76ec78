"""gpunn kernels."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import JsonOption
from gpunn.errors import UsageError

if TYPE_CHECKING:
    from gpunn.backend.cuda.inspection.report import Job, KernelReport


def kernels(
    kernel: Annotated[
        str | None, typer.Option(help="Only kernels with this in their name or their file's, such as adam.")
    ] = None,
    architecture: Annotated[
        list[str] | None, typer.Option(help="Only this one, such as 90a; may be given several times.")
    ] = None,
    write_budget: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what every kernel needs, for tests to compare.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compile every CUDA kernel for every architecture, without a GPU, and say what it needs of one.

    Occupancy is the share of a multiprocessor's warps that a kernel can fill. Products are tensor-core instructions;
    wide loads are those of 16 bytes a thread. Nothing here is a time.

    Example:

    gpunn kernels --kernel convolution2d_forward --architecture 90
    """
    from tqdm import tqdm

    from gpunn.backend.cuda.inspection.kernel_budget import budget_of, format_budget
    from gpunn.backend.cuda.inspection.report import in_order, measure
    from gpunn.cache import CacheFiles, cache_folder

    if write_budget is not None and (kernel is not None or architecture):
        raise UsageError("--write-budget is for all kernels; leave out --kernel and --architecture")
    wanted = _wanted(kernel, architecture)
    measured = measure(wanted, os.cpu_count() or 1, CacheFiles(cache_folder("kernel_reports")))
    # Without a terminal tqdm prints nothing.
    bar = tqdm(measured, "compiling", len(wanted), leave=False, dynamic_ncols=True, disable=None)
    reports = in_order(wanted, bar)
    if kernel is not None:
        reports = [one for one in reports if kernel in one.kernel or kernel in one.file]
    if write_budget is not None:
        try:
            write_budget.write_text(format_budget(budget_of(reports)))
        except OSError as error:
            raise UsageError(f"{write_budget} cannot be written ({error.strerror})") from None
    if as_json:
        print(json.dumps([asdict(one) for one in reports]))
    else:
        _print(reports)


def _wanted(kernel: str | None, architectures: list[str] | None) -> list[Job]:
    from gpunn.backend.cuda.inspection.report import jobs
    from gpunn.backend.cuda.launching.source import ARCHITECTURES, packaged_sources

    for name in architectures or ():
        if name not in ARCHITECTURES:
            raise UsageError(f"--architecture {name!r} is not one of {', '.join(ARCHITECTURES)}")
    sources = [
        source
        for source in packaged_sources()
        if kernel is None
        or kernel in source.path.name
        or any(kernel in name + variant.suffix for name in source.signatures for variant in source.variants())
    ]
    if not sources:
        raise UsageError(f"--kernel {kernel!r} is part of no kernel's name; leave it out to see all")
    return jobs(sources, architectures)


def _print(reports: list[KernelReport]) -> None:
    from gpunn.cli.table import table

    header = ("kernel", "file", "sm", "registers", "spilled", "shared", "occupancy", "products", "wide loads")
    rows = [
        (
            one.kernel,
            one.file,
            one.architecture,
            str(one.registers),
            str(one.spill_bytes),
            str(one.shared_bytes),
            f"{one.occupancy:.0%}",
            str(one.tensor_core_instructions),
            str(one.wide_loads),
        )
        for one in reports
    ]
    print(table(header, rows, numbers=range(3, len(header))))
    spilling = sum(one.spill_bytes > 0 for one in reports)
    print(f"{len(reports)} compilations of kernels, {spilling} of them spill registers")
