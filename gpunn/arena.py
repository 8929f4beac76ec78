"""Flat buffers with named parts: where each part lies. This module computes only; devices allocate.

Parameters, their gradients, the optimiser's state and the running statistics are each one flat array, so that
one call updates all weights and one file holds all state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from gpunn.geometry import Shape

#: Every part starts at a multiple of this many elements: 256 bytes of the narrowest master type, fp32.
ALIGNMENT = 64


def align(count: int, alignment: int) -> int:
    """The smallest multiple of `alignment` that is not below `count`."""
    return -(-count // alignment) * alignment


@dataclass(frozen=True)
class Segment:
    """One named part of a flat array, and how the optimiser treats it."""

    name: str
    shape: Shape
    offset: int
    learning_rate_factor: float = 1.0
    decay: float = 0.0
    trainable: bool = True

    @property
    def size(self) -> int:
        """Elements, without the gap that follows."""
        return prod(self.shape)

    @property
    def stop(self) -> int:
        """The element after the last."""
        return self.offset + self.size


@dataclass(frozen=True)
class Run:
    """Neighbouring elements that the optimiser treats alike."""

    start: int
    stop: int
    learning_rate_factor: float
    decay: float


@dataclass(frozen=True)
class SegmentTable:
    """All parts of one flat array, in order of their offsets."""

    segments: tuple[Segment, ...]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __getitem__(self, name: str) -> Segment:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Segment]:
        return {segment.name: segment for segment in self.segments}

    @property
    def size(self) -> int:
        """Elements of the whole array, gaps included."""
        return align(self.segments[-1].stop, ALIGNMENT) if self.segments else 0

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The trainable elements, neighbours with equal settings joined; gaps hold zeros and may be updated."""
        runs: list[Run] = []
        for segment in self.segments:
            if not segment.trainable:
                continue
            settings = (segment.learning_rate_factor, segment.decay)
            last = runs[-1] if runs else None
            joins = (
                last is not None
                and (last.learning_rate_factor, last.decay) == settings
                and align(last.stop, ALIGNMENT) == segment.offset
            )
            start = runs.pop().start if joins else segment.offset
            runs.append(Run(start, segment.stop, *settings))
        return tuple(runs)


@dataclass(frozen=True)
class Part:
    """A part that is still to be placed."""

    name: str
    shape: Shape
    learning_rate_factor: float = 1.0
    decay: float = 0.0
    trainable: bool = True


def place(parts: Iterable[Part]) -> SegmentTable:
    """Give each part its offset, one after another, aligned.

    Raises:
        ValueError: when two parts share a name.
    """
    segments: list[Segment] = []
    offset = 0
    names: set[str] = set()
    for part in parts:
        if part.name in names:
            raise ValueError(f"two parts are named {part.name!r}")
        names.add(part.name)
        segments.append(Segment(part.name, part.shape, offset, part.learning_rate_factor, part.decay, part.trainable))
        offset = align(offset + prod(part.shape), ALIGNMENT)
    return SegmentTable(tuple(segments))
