"""The random numbers of an augmentation: one row for every picture."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gpunn.random import Positions, Stream

Draws: TypeAlias = npt.NDArray[np.float64]
"""The numbers of some pictures, (N, len(Draw)), or of one; all from 0 to 1."""


class Draw(IntEnum):
    """What each number of a row is for; a change that is not made leaves its numbers unused, and moves no other."""

    AREA = 0
    RATIO = auto()
    TOP = auto()
    LEFT = auto()
    DOWN = auto()
    RIGHT = auto()
    ROTATION = auto()
    SCALE = auto()
    MIRROR = auto()
    SHEAR = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    SATURATION = auto()
    HUE = auto()
    FIRST_LENGTH = auto()
    FIRST_ANGLE = auto()
    SECOND_LENGTH = auto()
    SECOND_ANGLE = auto()
    ERASED = auto()
    ERASED_AREA = auto()
    ERASED_RATIO = auto()
    ERASED_TOP = auto()
    ERASED_LEFT = auto()
    MIXED = auto()
    CUT = auto()
    PARTNER = auto()
    SHARE = auto()
    CUT_TOP = auto()
    CUT_LEFT = auto()


def draw(seed: int, epoch: int, indices: npt.NDArray[np.int64]) -> Draws:
    """The numbers of these pictures, which depend on the seed, the epoch and the index of each only."""
    draws = np.empty((len(indices), len(Draw)))
    positions = Positions(seed, Stream.AUGMENTATION, epoch)
    for row, index in zip(draws, indices.tolist(), strict=True):
        positions.at(index).random(out=row)
    return draws


def between(bounds: tuple[float, float], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Draws spread evenly from one bound to the other."""
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def either_way(farthest: float, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Draws spread evenly from -farthest to +farthest."""
    return between((-farthest, farthest), draws)
