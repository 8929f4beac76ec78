"""The good pictures of all halves in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpunn.data.checking.collection import Collection, Half
from gpunn.data.checking.examination import Findings


@dataclass(frozen=True)
class Pictures:
    """What is known of the good pictures of a collection; row i is picture i.

    Attributes:
        halves: where they are from.
        classes: the names that any half has, each once.
        half: (N,), the half of a picture.
        index: (N,), its place in the half.
        label: (N,), its class, a place in `classes`; 0 where there are none.
        digests: (N, 16).
        sizes: (N, 3): height, width, channels.
    """

    halves: tuple[Half, ...]
    classes: tuple[str, ...]
    half: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.index)

    def key(self, position: int) -> str:
        """What a quarantine calls a picture."""
        return self.halves[int(self.half[position])].key(int(self.index[position]))


def good_pictures(collection: Collection, findings: Sequence[Findings]) -> Pictures:
    """The pictures that can be used.

    Args:
        collection: what was looked at.
        findings: of each of its halves.
    """
    halves = collection.halves
    classes = tuple(dict.fromkeys(name for half in halves for name in half.dataset.classes))
    places = {name: place for place, name in enumerate(classes)}
    rows = [np.flatnonzero(found.good) for found in findings]
    labels = [
        np.array([places[name] for name in half.dataset.classes] or [0], np.int64)[half.dataset.labels[chosen]]
        for half, chosen in zip(halves, rows, strict=True)
    ]
    none = Findings.of(0)
    return Pictures(
        halves,
        classes,
        np.repeat(np.arange(len(halves)), [len(chosen) for chosen in rows]),
        np.concatenate([np.zeros(0, np.int64), *rows]),
        np.concatenate([np.zeros(0, np.int64), *labels]),
        np.concatenate([none.digests, *(found.digests[chosen] for found, chosen in zip(findings, rows, strict=True))]),
        np.concatenate([none.sizes, *(found.sizes[chosen] for found, chosen in zip(findings, rows, strict=True))]),
    )
