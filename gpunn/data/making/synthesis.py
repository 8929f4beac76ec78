"""A tree of rendered JPEGs in the layout of ImageNet: train/CLASS/IMAGE.jpg and val/CLASS/IMAGE.jpg."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gpunn.data.making.in_order import in_order
from gpunn.data.making.object_classes import class_folder, object_classes
from gpunn.data.making.rendering import render
from gpunn.data.names import printable
from gpunn.durable_files import describe_write_failure
from gpunn.errors import UsageError
from gpunn.random import Stream, generator

VALIDATION_FRACTION = 0.1

_UPRIGHT = 0.3
_SMALLEST = 16
_QUALITY = 94
"""At 500x375 this gives files of 98 kB, as ImageNet's are."""


@dataclass(frozen=True)
class Synthesis:
    """What is rendered. Image i is of class i modulo `classes`, and depends on `seed` and i, and on nothing else.

    Attributes:
        classes: how many; each has its own shape, texture and colours.
        images: how many in all; the last tenth of them, at least one of each class, is for validation.
        seed: of all random numbers.
        size: the longer and the shorter side around which those of the images vary.
        vary: how far they vary, as a part of them; three in ten images then stand upright. 0: all lie and have `size`.

    Raises:
        UsageError: a number is out of its range.
    """

    classes: int
    images: int
    seed: int = 0
    size: tuple[int, int] = (500, 375)
    vary: float = 0.2

    def __post_init__(self) -> None:
        object_classes(self.classes)
        if self.images < 2 * self.classes:
            raise UsageError(
                f"{self.images} images of {self.classes} classes leave some without one in train or val; "
                f"give at least {2 * self.classes}"
            )
        if not 0.0 <= self.vary <= 0.5:
            raise UsageError(f"sizes can vary by 0 to 0.5 of themselves, not by {self.vary}")
        if min(self.size) * (1 - self.vary) ** 2 < _SMALLEST:
            raise UsageError(
                f"images around {self.size[0]}x{self.size[1]} would be smaller than {_SMALLEST} pixels; "
                "give larger sides, or let them vary less"
            )

    @property
    def validation_images(self) -> int:
        """How many of the images are for validation."""
        return max(self.classes, round(self.images * VALIDATION_FRACTION))


def synthesize(
    root: Path,
    synthesis: Synthesis,
    *,
    workers: int,
    replace: bool = False,
    on_image: Callable[[], object] = lambda: None,
) -> int:
    """Write the tree; a file appears when it is complete, so that what a killed process leaves is a smaller tree.

    Args:
        root: a folder that is empty or not there.
        synthesis: what to render.
        workers: threads.
        replace: write into a folder that holds something, over files of the same names.
        on_image: called for every image that is written.

    Returns:
        The bytes of all files.

    Raises:
        UsageError: the folder is not empty, or cannot be written.
    """
    try:
        if root.exists() and (not root.is_dir() or any(root.iterdir())) and not replace:
            raise UsageError(
                f"'{printable(root)}' is there and not an empty folder; give another, or --force to write into it"
            )
        classes = object_classes(synthesis.classes)
        folders = [class_folder(number, of) for number, of in enumerate(classes)]
        for half in ("train", "val"):
            for folder in folders:
                (root / half / folder).mkdir(parents=True, exist_ok=True)
        first_of_validation = synthesis.images - synthesis.validation_images

        def write(index: int) -> int:
            half = "train" if index < first_of_validation else "val"
            folder = root / half / folders[index % synthesis.classes]
            return _write(folder / f"{index:07d}.jpg", encoded(synthesis, index))

        written = 0
        with closing(in_order(write, range(synthesis.images), workers)) as sizes:
            for size in sizes:
                written += size
                on_image()
        return written
    except OSError as error:
        path = Path(error.filename) if isinstance(error.filename, str) else root
        raise UsageError(describe_write_failure(path, error, "another folder")) from error


def encoded(synthesis: Synthesis, index: int) -> bytes:
    """The JPEG file of one image."""
    numbers = generator(synthesis.seed, Stream.SYNTHESIS, first=index)
    of = object_classes(synthesis.classes)[index % synthesis.classes]
    pixels = render(of, _size(synthesis, numbers), numbers)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _size(synthesis: Synthesis, numbers: np.random.Generator) -> tuple[int, int]:
    """Height and width of one image."""
    together, longer, shorter = 1 + synthesis.vary * numbers.uniform(-1, 1, 3) * (1.0, 0.3, 0.3)
    long, short = synthesis.size
    long, short = round(long * together * longer), round(short * together * shorter)
    is_upright = synthesis.vary > 0 and numbers.random() < _UPRIGHT
    return (long, short) if is_upright else (short, long)


def _write(path: Path, content: bytes) -> int:
    # Trees of images pass over hidden files.
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(content)
    os.replace(aside, path)
    return len(content)
