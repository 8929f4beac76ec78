"""A data set in one file of pixels: every picture is decoded and resized once, and never again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gpunn.data.checking.keys import sample_key
from gpunn.data.dataset import Dataset, EncodedDataset, Split
from gpunn.data.decoding.picture import Box, Decoder, Picture
from gpunn.data.making.in_order import in_order
from gpunn.data.making.packed_writer import PackedPlan, PackedSample, write_packed
from gpunn.data.making.whole_file import whole_file
from gpunn.data.reasons import named_reason
from gpunn.data.sources.packed.dataset import augmentation_to_text, pixel_digest
from gpunn.data.sources.packed.header import HALVES
from gpunn.errors import DataError, UsageError

DEFAULT_SIZE = 256
"""Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", section 2."""


@dataclass(frozen=True)
class Packing:
    """How a data set is packed.

    Attributes:
        decoder: reads image files and scales pictures.
        workers: threads that do so.
        size: height and width of the packed images; None: those of the pictures where all have one size, else 256x256.
        skip_unreadable: leave out images that cannot be read instead of giving up.
        replace: let the file replace another.

    Raises:
        UsageError: a number is below 1.
    """

    decoder: Decoder
    workers: int
    size: tuple[int, int] | None = None
    skip_unreadable: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1 or (self.size is not None and min(self.size) < 1):
            raise UsageError(f"packing at {self.size} with {self.workers} workers: the numbers must be positive")


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes:
        counts: training and validation images.
        picture: height, width and channels of each.
        bytes: the length of the file.
        unreadable: names of the images that were left out, and why.
    """

    counts: tuple[int, int]
    picture: tuple[int, int, int]
    bytes: int
    unreadable: tuple[str, ...]


@dataclass
class _Half:
    """Makes the images of one half and notes which cannot be made."""

    dataset: Dataset
    name: str
    picture: tuple[int, int, int]
    packing: Packing
    on_image: Callable[[], object]
    unreadable: list[str] = field(default_factory=list)

    def samples(self) -> Iterator[PackedSample]:
        with closing(in_order(self._make, range(len(self.dataset)), self.packing.workers)) as made:
            for sample in made:
                if isinstance(sample, PackedSample):
                    yield sample
                elif self.packing.skip_unreadable:
                    self.unreadable.append(sample)
                else:
                    raise DataError(
                        f"{sample}. Such images can be left out with --unreadable skip; "
                        "`gpunn data check` lists them all"
                    )
                self.on_image()
        if len(self.unreadable) == len(self.dataset):
            raise DataError(f"none of {len(self.dataset)} images can be read; the first: {self.unreadable[0]}")

    def _make(self, index: int) -> PackedSample | str:
        """The sample, or the name of an image that cannot be read, and why."""
        pixels = np.empty(self.picture, np.uint8)
        try:
            picture = self._open(index)
            picture.draw(pixels, covering_box(picture.size, self.picture[:2]))
        except DataError as error:
            return named_reason(self.dataset, index, error)
        return PackedSample(pixels, pixel_digest(pixels), int(self.dataset.labels[index]), self._key(index))

    def key_bytes(self) -> int:
        """What the keys of all images take, each with a zero byte behind it."""
        return sum(len(self._key(index)) + 1 for index in range(len(self.dataset)))

    def _key(self, index: int) -> bytes:
        key = sample_key(self.dataset, self.name, index).encode("utf-8", "surrogateescape")
        # A name in a tar archive may have one, and in the file it would end the key.
        return key.replace(b"\0", b"\\0")

    def _open(self, index: int) -> Picture:
        if isinstance(self.dataset, EncodedDataset):
            return self.packing.decoder.open(self.dataset.read(index))
        return self.packing.decoder.picture(self.dataset.load(index))


def pack(split: Split, destination: Path, packing: Packing, on_image: Callable[[], object] = lambda: None) -> Packed:
    """Write a packed file; it appears when it is complete.

    Args:
        split: what to pack.
        destination: the file.
        packing: how.
        on_image: called for every image that is done with.

    Raises:
        DataError: an image cannot be read, or nothing is left of a half; the data set is not one of labelled pictures.
        UsageError: the file is there already, or cannot be written.
    """
    if not split.train.classes or split.train.targets:
        raise DataError(f"{split.description}: only pictures with labels, and with no other targets, can be packed")
    datasets = (split.train, split.validation)
    picture = _picture(datasets, packing.size)
    halves = [_Half(dataset, name, picture, packing, on_image) for dataset, name in zip(datasets, HALVES, strict=True)]
    plan = PackedPlan(
        picture=picture,
        counts=(len(split.train), len(split.validation)),
        key_bytes=(halves[0].key_bytes(), halves[1].key_bytes()),
        classes=split.train.classes,
        notes=_notes(split, packing, picture),
    )
    room = plan.planned_header().file_bytes
    with whole_file(destination, room, replace=packing.replace) as descriptor:
        write_packed(descriptor, plan, [half.samples() for half in halves])
        written = os.fstat(descriptor).st_size
    train, validation = (len(half.dataset) - len(half.unreadable) for half in halves)
    unreadable = tuple(reason for half in halves for reason in half.unreadable)
    return Packed((train, validation), plan.picture, written, unreadable)


def covering_box(size: tuple[int, int], target: tuple[int, int]) -> Box:
    """The largest region of the proportions of `target` in the centre of a picture of height x width `size`."""
    height, width = size
    scale = min(height / target[0], width / target[1])
    # Rounding must not push an edge out of the picture.
    box_height, box_width = min(target[0] * scale, height), min(target[1] * scale, width)
    top, left = (height - box_height) / 2, (width - box_width) / 2
    return left, top, left + box_width, top + box_height


def _picture(datasets: Sequence[Dataset], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of the packed images."""
    shapes = [dataset.picture_shape for dataset in datasets]
    channels = max(shape[2] for shape in shapes)
    if size is not None:
        return (*size, channels)
    height, width, _ = shapes[0]
    if height is None or width is None or any(shape[:2] != (height, width) for shape in shapes):
        height = width = DEFAULT_SIZE
    return height, width, channels


def _notes(split: Split, packing: Packing, picture: tuple[int, int, int]) -> dict[str, str]:
    own_size = all(dataset.picture_shape[:2] == picture[:2] for dataset in (split.train, split.validation))
    return {
        "source": split.description,
        "preprocessing": "the centre, scaled by antialiased bilinear interpolation where it has another size; "
        f"decoder {packing.decoder.name}",
        "resized": "yes" if split.resized or not own_size else "no",
        "augmentation": augmentation_to_text(split.augmentation),
    }
