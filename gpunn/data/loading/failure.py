"""A picture that a batch lacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """A picture that could not be read.

    Attributes:
        position: its place in the batch, or in the part of one.
        index: its place in the data set.
        reason: the name of the picture, and why.
    """

    position: int
    index: int
    reason: str
