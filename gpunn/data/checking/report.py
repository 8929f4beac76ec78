"""What a check found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpunn.data.checking.collection import Collection
from gpunn.data.checking.duplicates import equal_groups
from gpunn.data.checking.examination import Findings
from gpunn.data.checking.pictures import good_pictures
from gpunn.data.checking.suspicions import suspicions


@dataclass(frozen=True)
class Sizes:
    """Heights and widths of the good pictures.

    Attributes:
        smallest, largest: height, width of the picture with the fewest and with the most pixels.
        median: of the heights and of the widths.
        gray, colour: how many have one channel, and three.
    """

    smallest: tuple[int, int]
    largest: tuple[int, int]
    median: tuple[float, float]
    gray: int
    colour: int

    @classmethod
    def of(cls, sizes: npt.NDArray[np.int32]) -> Sizes:
        """Of at least one picture; (N, 3): height, width, channels."""
        pixels = sizes[:, 0].astype(np.int64) * sizes[:, 1]
        median = np.median(sizes[:, :2], axis=0)
        return cls(
            _pair(sizes[np.argmin(pixels)]),
            _pair(sizes[np.argmax(pixels)]),
            (float(median[0]), float(median[1])),
            int((sizes[:, 2] == 1).sum()),
            int((sizes[:, 2] == 3).sum()),
        )


@dataclass(frozen=True)
class Report:
    """The outcome of a check. Paths are the keys of a quarantine.

    Attributes:
        images: pictures that were looked at.
        halves: the names of the data set's parts; one without a name where it is not divided.
        counts: pictures of each class in each half, by printable name.
        sizes: None where no picture is good.
        faults: why training would refuse the data set as a whole, by the folder or file that is to blame.
        unreadable: the pictures that cannot be read, and why.
        duplicates: the good pictures that are the same, in groups.
        warnings: what is suspicious, and what was passed over.
    """

    images: int
    halves: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    sizes: Sizes | None
    faults: Mapping[str, str]
    unreadable: Mapping[str, str]
    duplicates: Sequence[tuple[str, ...]]
    warnings: Sequence[str]

    @property
    def clean(self) -> bool:
        """Whether training would take the data set as it is. Duplicates and warnings do not keep it from that."""
        return not self.faults and not self.unreadable

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; text may hold surrogates, as `os.fsdecode` makes them."""
        return {
            "images": self.images,
            "classes": {name: sum(counts) for name, counts in self.counts.items()},
            "bad": [
                {"path": path, "reason": reason}
                for bad in (self.faults, self.unreadable)
                for path, reason in bad.items()
            ],
            "duplicates": [list(group) for group in self.duplicates],
            "warnings": list(self.warnings),
        }


def report(collection: Collection, findings: Sequence[Findings]) -> Report:
    """Puts together what was found.

    Args:
        collection: what was looked at.
        findings: of each of its halves.
    """
    pictures = good_pictures(collection, findings)
    same = equal_groups(pictures.digests)
    counts = [dict(zip(half.dataset.classes, half.class_counts().tolist(), strict=False)) for half in collection.halves]
    return Report(
        images=len(collection),
        halves=tuple(half.name for half in collection.halves),
        counts={name: tuple(count.get(name, 0) for count in counts) for name in pictures.classes},
        sizes=Sizes.of(pictures.sizes) if len(pictures) else None,
        faults=collection.faults,
        unreadable={
            half.key(index): found.reasons[index]
            for half, found in zip(collection.halves, findings, strict=True)
            for index in sorted(found.reasons)
        },
        duplicates=[tuple(pictures.key(position) for position in group.tolist()) for group in same],
        warnings=[*collection.warnings, *suspicions(collection, pictures, same)],
    )


def _pair(size: npt.NDArray[np.int32]) -> tuple[int, int]:
    return int(size[0]), int(size[1])
