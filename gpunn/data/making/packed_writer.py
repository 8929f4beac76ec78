"""Writing a file of packed images from its first byte to its last, with one image at a time in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from gpunn.data.sources.packed.header import (
    PAGE_BYTES,
    HalfContent,
    PackedHeader,
    content_digest,
    encode_header,
    lay_out,
)
from gpunn.durable_files import write_all


@dataclass(frozen=True)
class PackedSample:
    """One image.

    Attributes:
        pixels: uint8, (H, W, C), contiguous.
        digest: of the pixels.
        label: its class.
        key: what a quarantine calls its source; no zero byte is in it.
    """

    pixels: npt.NDArray[np.uint8]
    digest: bytes
    label: int
    key: bytes


@dataclass(frozen=True)
class PackedPlan:
    """What is known before the first image is.

    Attributes:
        picture: height, width and channels of all images.
        counts: training and validation images, at most.
        key_bytes: what their keys take, each with the zero byte that follows it.
        classes: their names, by label.
        notes: other metadata.
    """

    picture: tuple[int, int, int]
    counts: tuple[int, int]
    key_bytes: tuple[int, int]
    classes: tuple[str, ...]
    notes: Mapping[str, str]

    def header(self, counts: Sequence[int], key_bytes: Sequence[int], sha256: str) -> PackedHeader:
        """The header of a file with so many images of either half, and so many bytes of keys."""
        metadata = {"classes": json.dumps(self.classes), **self.notes, "sha256": sha256}
        return lay_out(counts, key_bytes, self.picture, metadata)

    def planned_header(self) -> PackedHeader:
        """The header if every image can be read; no other is longer, and no other describes a longer file."""
        return self.header(self.counts, self.key_bytes, "0" * 64)


def write_packed(descriptor: int, plan: PackedPlan, halves: Sequence[Iterable[PackedSample]]) -> None:
    """Write the whole file. The header comes last, when it is known which images there are.

    Args:
        descriptor: of an empty file.
        plan: of the file.
        halves: training and validation images.

    Raises:
        OSError: the disk refuses.
    """
    length = plan.planned_header().length
    write_all(descriptor, bytes(length))
    written = [_write_images(descriptor, plan, samples) for samples in halves]
    for half in written:
        write_all(descriptor, half.labels)
    for half in written:
        write_all(descriptor, half.keys)
    for half in written:
        write_all(descriptor, half.digests)
    counts = [half.shape[0] for half in written]
    header = plan.header(counts, [len(half.keys) for half in written], content_digest(plan.classes, written))
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, encode_header(header, length))


def _write_images(descriptor: int, plan: PackedPlan, samples: Iterable[PackedSample]) -> HalfContent:
    """The images of a half and their padding."""
    labels: list[int] = []
    digests = bytearray()
    keys = bytearray()
    for sample in samples:
        write_all(descriptor, sample.pixels.reshape(-1).data)
        labels.append(sample.label)
        digests += sample.digest
        keys += sample.key + b"\0"
    write_all(descriptor, bytes(-len(labels) * prod(plan.picture) % PAGE_BYTES))
    return HalfContent((len(labels), *plan.picture), np.array(labels, "<i4").tobytes(), bytes(digests), bytes(keys))
