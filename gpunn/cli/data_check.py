"""gpunn data check."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpunn.cli.options import JsonOption
from gpunn.cli.table import table
from gpunn.data.names import counted, printable
from gpunn.errors import DataError, UsageError

if TYPE_CHECKING:
    from gpunn.data.checking.report import Report, Sizes

SHOWN_CLASSES = 50
SHOWN_DUPLICATES = 20
SHOWN_ALIKE = 4

_NEW_LINE = "\n  "


def check(
    data: Annotated[str, typer.Argument(metavar="PATH", help="What gpunn train takes as --data, or would refuse.")],
    as_json: JsonOption = False,
    quarantine: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the bad pictures there, for training to leave them out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures that are read at the same time; default: one for each core.")
    ] = None,
) -> None:
    """Read and decode every picture of a data set, and say which are bad, which are the same, and what looks wrong.

    The exit status is 0 when training would take the data as they are, and 3 when something is bad. Duplicates and
    warnings alone leave it at 0. Paths are relative to PATH. Example:

    gpunn data check flowers/ --quarantine bad.jsonl

    gpunn train --data flowers/ --quarantine bad.jsonl
    """
    from gpunn.cli.picture_bar import picture_bar
    from gpunn.cores import available_cores
    from gpunn.data.checking.check import check as check_pictures
    from gpunn.data.checking.opening import open_collection
    from gpunn.data.checking.quarantine import write_quarantine

    _refuse_unwritable(quarantine)
    collection = open_collection(data)
    with picture_bar("checking", len(collection)) as bar:
        report = check_pictures(collection, workers=workers or available_cores(), progress=bar.update)
    if quarantine is not None:
        try:
            write_quarantine(quarantine, report.unreadable)
        except OSError as error:
            raise UsageError(f"--quarantine {quarantine} cannot be written ({error.strerror})") from error
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        _print(report)
    if not report.clean:
        raise DataError(_verdict(report, quarantine))
    if not as_json:
        print("every picture can be read, and training would take the data as they are")


def _refuse_unwritable(quarantine: Path | None) -> None:
    """Before hours of reading, not after them."""
    if quarantine is None:
        return
    folder = quarantine.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or quarantine.is_dir():
        raise UsageError(f"--quarantine {quarantine} cannot be written; give a file in a folder that can be written")


def _verdict(report: Report, quarantine: Path | None) -> str:
    parts = []
    if report.unreadable:
        remedy = f"--quarantine {quarantine}" if quarantine is not None else "--quarantine FILE"
        leave_out = "train without them: " if quarantine is not None else "mend them, or list them for training with "
        parts.append(f"bad pictures: {len(report.unreadable)} of {report.images}; {leave_out}{remedy}")
    if report.faults:
        parts.append(f"faults of the layout, for which training would refuse the data: {len(report.faults)}")
    return "; ".join(parts)


def _print(report: Report) -> None:
    pictures = counted(report.images, "picture", "pictures")
    print(f"{pictures} of {counted(len(report.counts), 'class', 'classes')}")
    _print_classes(report)
    if report.sizes is not None:
        print(_sizes(report.sizes))
    for title, bad in (("faults of the layout", report.faults), ("bad pictures", report.unreadable)):
        _print_list(title, [f"{printable(path)}: {reason}" for path, reason in bad.items()])
    groups = [_shortened([printable(path) for path in group], SHOWN_ALIKE, " = ") for group in report.duplicates]
    if groups:
        print(f"the same picture ({len(groups)}):{_NEW_LINE}{_shortened(groups, SHOWN_DUPLICATES, _NEW_LINE)}")
    _print_list("warnings", report.warnings)


def _print_classes(report: Report) -> None:
    if not report.counts:
        return
    totals = [sum(counts) for counts in report.counts.values()]
    if len(totals) > SHOWN_CLASSES:
        print(f"the classes have {min(totals)} to {max(totals)} pictures; --json lists them")
        return
    header = ("class", *(half or "pictures" for half in report.halves))
    rows = [(name, *map(str, counts)) for name, counts in report.counts.items()]
    print(table(header, rows, numbers=range(1, len(header))))


def _sizes(sizes: Sizes) -> str:
    height, width = sizes.median
    return (
        f"sizes: smallest {sizes.smallest[0]}x{sizes.smallest[1]}, median {height:g}x{width:g}, "
        f"largest {sizes.largest[0]}x{sizes.largest[1]} (height x width); {sizes.colour} colour, {sizes.gray} gray"
    )


def _print_list(title: str, lines: Sequence[str]) -> None:
    if lines:
        print(_NEW_LINE.join([f"{title} ({len(lines)}):", *lines]))


def _shortened(texts: Sequence[str], shown: int, separator: str) -> str:
    """The first texts, and how many more there are."""
    rest = [f"({len(texts) - shown} more; --json lists them)"] if len(texts) > shown else []
    return separator.join([*texts[:shown], *rest])
