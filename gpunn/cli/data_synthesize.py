"""gpunn data synthesize."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gpunn.errors import UsageError


def synthesize(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; train and val go into it.")],
    classes: Annotated[int, typer.Option(help="How many classes.")],
    images: Annotated[int, typer.Option(help="How many images in all; a tenth of them goes to val.")],
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random about the images.")] = 0,
    size: Annotated[str, typer.Option(help="Longer x shorter side, from which images vary.")] = "500x375",
    vary: Annotated[float, typer.Option(help="How far sides vary, as a part of them; 0: not at all.")] = 0.2,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; default one for each core.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Render a tree of JPEGs in the layout of ImageNet, for trials and for measuring throughput.

    Every class has objects of its own shape, texture and colours, at random places, sizes and angles, before a
    cluttered background, in random light, with noise; the mean colour of an image tells nothing about its class.
    The same numbers give the same images.

    Example:

    gpunn data synthesize trial/ --classes 20 --images 4000
    """
    from gpunn.cli.picture_bar import picture_bar
    from gpunn.cores import available_cores
    from gpunn.data.making.synthesis import Synthesis
    from gpunn.data.making.synthesis import synthesize as write_tree

    synthesis = Synthesis(classes, images, seed, _parse_size(size), vary)
    with picture_bar("rendering", images) as bar:
        written = write_tree(
            folder, synthesis, workers=workers or available_cores(), replace=force, on_image=bar.update
        )
    validation = synthesis.validation_images
    print(
        f"{folder}: {images - validation} training and {validation} validation images of {classes} classes, "
        f"{written / images / 1e3:,.1f} kB each, {written / 1e6:,.1f} MB in all"
    )


def _parse_size(text: str) -> tuple[int, int]:
    """The longer side first, whatever the order."""
    if not re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}", text):
        raise UsageError(f"--size {text!r} is not of the form 500x375")
    sides = [int(side) for side in text.split("x")]
    return max(sides), min(sides)
