"""What often is a mistake in a data set and does not keep anyone from training with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from gpunn.data.checking.collection import Collection
from gpunn.data.checking.pictures import Pictures
from gpunn.data.names import printable

SMALL = 32
"""Pixels: a picture that is lower or narrower shows little."""

IMBALANCE = 10
"""Times as many pictures in the largest class as in the smallest are worth a word."""


def suspicions(
    collection: Collection, pictures: Pictures, duplicates: Sequence[npt.NDArray[np.int64]]
) -> Iterator[str]:
    """A line for each kind of suspicion, with a number and an example.

    Args:
        collection: what was looked at.
        pictures: those of it that are good.
        duplicates: groups of rows of `pictures` that are the same picture.
    """
    leaked = _groups_with_several(pictures.half, duplicates)
    if leaked:
        yield (
            f"{_number(len(leaked), 'picture is', 'pictures are')} in more than one half, such as "
            f"{_example(pictures, pictures.half, leaked[0])}; validation on them looks better than it is"
        )
    contradictory = _groups_with_several(pictures.label, duplicates)
    if contradictory:
        yield (
            f"{_number(len(contradictory), 'picture is', 'pictures are')} in more than one class, such as "
            f"{_example(pictures, pictures.label, contradictory[0])}"
        )
    yield from _classes(collection)
    yield from _small(collection, pictures)


def _classes(collection: Collection) -> Iterator[str]:
    """On how the pictures are divided among classes."""
    for half in collection.halves:
        counts, names = half.class_counts(), half.dataset.classes
        where = f"in {half.name}, " if half.name else ""
        if not names or not counts.any():
            continue
        empty = [names[label] for label in np.flatnonzero(counts == 0)]
        if empty:
            yield f"{where}{_number(len(empty), 'class has', 'classes have')} no images, such as '{empty[0]}'"
        largest = int(np.argmax(counts))
        smallest = int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))
        if counts[largest] >= IMBALANCE * counts[smallest]:
            yield (
                f"{where}the classes are uneven: '{names[largest]}' has {counts[largest]} images, "
                f"'{names[smallest]}' has {counts[smallest]}"
            )


def _small(collection: Collection, pictures: Pictures) -> Iterator[str]:
    if any(None not in half.dataset.picture_shape for half in collection.halves):
        # Pictures of one size were made so.
        return
    small = np.flatnonzero(pictures.sizes[:, :2].min(axis=1, initial=SMALL) < SMALL)
    if small.size:
        first = int(small[0])
        height, width, _ = pictures.sizes[first]
        yield (
            f"{_number(small.size, 'picture is', 'pictures are')} lower or narrower than {SMALL} pixels, such as "
            f"'{printable(pictures.key(first))}' of {height}x{width}"
        )


def _groups_with_several(
    values: npt.NDArray[np.int64], groups: Sequence[npt.NDArray[np.int64]]
) -> list[npt.NDArray[np.int64]]:
    """The groups whose members do not all have the same value."""
    return [group for group in groups if (values[group] != values[group[0]]).any()]


def _example(pictures: Pictures, values: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> str:
    """Two members of a group that differ in their value."""
    other = group[np.argmax(values[group] != values[group[0]])]
    return " and ".join(f"'{printable(pictures.key(int(position)))}'" for position in (group[0], other))


def _number(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
