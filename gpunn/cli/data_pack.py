"""gpunn data pack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gpunn.errors import UsageError


def pack(
    source: Annotated[str, typer.Argument(metavar="SRC", help="What gpunn train takes as --data.")],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="The file to make, such as flowers.safetensors.")],
    size: Annotated[
        str | None,
        typer.Option(
            help="Rows and columns, 256 or 256x320; default the images' own size if they share one, else 256."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; default one for each core.")] = None,
    unreadable: Annotated[
        str,
        typer.Option(help="raise: the first image that cannot be read ends it; skip: those are left out, and listed."),
    ] = "raise",
    quarantine: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Leave out what `gpunn data check --quarantine` wrote there.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace DST if it is there.")] = False,
    decoder: Annotated[str, typer.Option(help="pillow, fast, or auto: the fastest that is installed.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Divides a SRC that has no division of its own.")] = 0,
    validation_fraction: Annotated[float, typer.Option(help="The part of such a SRC that is held out.")] = 0.2,
    keep_empty_classes: Annotated[bool, typer.Option(help="Let classes without images keep their index.")] = False,
) -> None:
    """Decode and resize every image once, into one file of pixels from which training reads at the speed of memory.

    The shorter side is scaled to --size and the centre is taken. DST is a safetensors file; it appears when it is
    complete.

    Example:

    gpunn data pack flowers/ flowers.safetensors --size 256
    """
    from gpunn.cli.picture_bar import picture_bar
    from gpunn.cores import available_cores
    from gpunn.data.checking.quarantine import read_quarantine, without_quarantined
    from gpunn.data.decoding.by_name import decoder as find_decoder
    from gpunn.data.making.packing import Packing
    from gpunn.data.making.packing import pack as pack_data
    from gpunn.data.sources.opening import open_data

    if unreadable not in ("raise", "skip"):
        raise UsageError(f"--unreadable {unreadable!r} is neither raise nor skip")
    packing = Packing(
        find_decoder(decoder),
        workers or available_cores(),
        size=None if size is None else _parse_size(size),
        skip_unreadable=unreadable == "skip",
        replace=force,
    )
    whole = open_data(source, seed=seed, validation_fraction=validation_fraction, keep_empty_classes=keep_empty_classes)
    split = whole if quarantine is None else without_quarantined(whole, read_quarantine(quarantine))
    quarantined = len(whole.train) + len(whole.validation) - len(split.train) - len(split.validation)
    with picture_bar("packing", len(split.train) + len(split.validation)) as bar:
        packed = pack_data(split, destination, packing, bar.update)
    for reason in packed.unreadable:
        print(f"left out: {reason}")
    train, validation = packed.counts
    height, width, channels = packed.picture
    print(
        f"{destination}: {train} training and {validation} validation images of {len(split.train.classes)} classes, "
        f"{height}x{width}x{channels}, {packed.bytes / 1e6:,.1f} MB"
        + (f"; {len(packed.unreadable)} left out" if packed.unreadable else "")
        + (f"; {quarantined} left out by the quarantine" if quarantined else "")
    )


def _parse_size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", text):
        raise UsageError(f"--size {text!r} is neither one number nor rows x columns, such as 256 or 256x320")
    height, _, width = text.partition("x")
    return int(height), int(width or height)
