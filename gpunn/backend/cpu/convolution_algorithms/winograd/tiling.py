"""Tiles along the rows and columns of an image, and small matrices applied to all of them.

Images are in the order of memory, H, W, N, C. Tile t of an axis covers `window` pixels from t * step + offset on; what
of them lies outside the image is zero, so the columns of the matrix that would meet it are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray[Any, Any]


class Run(NamedTuple):
    """Neighbouring tiles, first to stop - 1, of whose windows the same part, low to high - 1, lies inside."""

    first: int
    stop: int
    low: int
    high: int


@dataclass(frozen=True)
class Tiling:
    """The tiles of one axis.

    Attributes:
        extent: pixels of the axis.
        count: tiles.
        step: from the first pixel of a tile to that of the next.
        window: pixels of a tile.
        offset: of the first tile's first pixel.
    """

    extent: int
    count: int
    step: int
    window: int
    offset: int

    def inside(self, tile: int) -> tuple[int, int]:
        """The part of a tile's window that lies inside the image: first and stop; both 0 where none does."""
        start = tile * self.step + self.offset
        low, high = max(0, -start), min(self.window, self.extent - start)
        return (low, high) if low < high else (0, 0)

    def runs(self, first: int, stop: int) -> Iterator[Run]:
        """The tiles first to stop - 1, those together whose windows are cut off alike."""
        for (low, high), tiles in groupby(range(first, stop), self.inside):
            members = list(tiles)
            yield Run(members[0], members[-1] + 1, low, high)

    def reach(self, first: int, stop: int) -> tuple[int, int]:
        """The first pixel of the image that these tiles cover and the one after the last."""
        start = first * self.step + self.offset
        end = (stop - 1) * self.step + self.offset + self.window
        low, high = min(max(start, 0), self.extent), min(max(end, 0), self.extent)
        return low, max(low, high)


def apply_to_tiles(matrix: Array, tiling: Tiling, first: int, stop: int, source: Array, target: Array) -> None:
    """target[..., t, :, :] = matrix @ (the pixels of tile first + t), for the tiles first to stop - 1.

    Args:
        matrix: (rows, tiling.window).
        source: (..., pixels, run), the pixels that `tiling.reach(first, stop)` names; each run is in one piece.
        target: (..., stop - first, rows, run).
    """
    origin, _ = tiling.reach(first, stop)
    *leading, pixel, number = source.strides
    for run in tiling.runs(first, stop):
        part = target[..., run.first - first : run.stop - first, :, :]
        if run.low == run.high:
            part[...] = 0
            continue
        start = run.first * tiling.step + tiling.offset + run.low - origin
        windows = as_strided(
            source[..., start:, :],
            (*source.shape[:-2], run.stop - run.first, run.high - run.low, source.shape[-1]),
            (*leading, pixel * tiling.step, pixel, number),
            writeable=False,
        )
        np.matmul(matrix[:, run.low : run.high], windows, out=part)


def spread_over_tiles(matrix: Array, tiling: Tiling, first: int, stop: int, source: Array, target: Array) -> None:
    """The pixels of tile first + t = matrix @ source[..., t, :, :], as far as they lie inside the image.

    Args:
        matrix: (tiling.window, columns); tiles do not overlap.
        source: (..., stop - first, columns, run).
        target: (..., pixels, run), the pixels that `tiling.reach(first, stop)` names.
    """
    origin, _ = tiling.reach(first, stop)
    *leading, pixel, number = target.strides
    for run in tiling.runs(first, stop):
        if run.low == run.high:
            continue
        start = run.first * tiling.step + tiling.offset + run.low - origin
        windows = as_strided(
            target[..., start:, :],
            (*target.shape[:-2], run.stop - run.first, run.high - run.low, target.shape[-1]),
            (*leading, pixel * tiling.step, pixel, number),
        )
        np.matmul(matrix[run.low : run.high], source[..., run.first - first : run.stop - first, :, :], out=windows)
