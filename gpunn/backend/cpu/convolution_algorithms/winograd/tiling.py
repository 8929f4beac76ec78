"""Tiles along the rows and columns of an image, and small matrices applied to all of them.

Images are in the order of memory, H, W, N, C. Tile t of an axis covers `window` pixels from t * step + offset on; what
of them lies outside the image is zero, so the columns of the matrix that would meet it are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray[Any, Any]

#: Parts of rows and columns whose runs are kept.
PARTS = 4096


class Run(NamedTuple):
    """Neighbouring tiles of whose windows the same part lies inside.

    Attributes:
        tiles: counted from the first of those that are worked on.
        inside: the part of their windows.
        start: where that part of the first of them begins, counted from the first pixel that any of them covers.
    """

    tiles: slice
    inside: slice
    start: int


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

    def reach(self, first: int, stop: int) -> tuple[int, int]:
        """The first pixel of the image that these tiles cover and the one after the last."""
        start = first * self.step + self.offset
        end = (stop - 1) * self.step + self.offset + self.window
        low, high = min(max(start, 0), self.extent), min(max(end, 0), self.extent)
        return low, max(low, high)


@lru_cache(PARTS)
def _runs(tiling: Tiling, first: int, stop: int) -> tuple[Run, ...]:
    """The tiles first to stop - 1, those together whose windows are cut off alike."""
    origin, _ = tiling.reach(first, stop)
    runs = []
    for (low, high), tiles in groupby(range(first, stop), tiling.inside):
        members = list(tiles)
        start = members[0] * tiling.step + tiling.offset + low - origin
        runs.append(Run(slice(members[0] - first, members[-1] + 1 - first), slice(low, high), start))
    return tuple(runs)


def apply_to_tiles(matrix: Array, tiling: Tiling, first: int, stop: int, source: Array, target: Array) -> None:
    """target[..., t, :, :] = matrix @ (the pixels of tile first + t), for the tiles first to stop - 1.

    Args:
        matrix: (rows, tiling.window).
        source: (..., pixels, run), the pixels that `tiling.reach(first, stop)` names; each run is in one piece.
        target: (..., stop - first, rows, run).
    """
    for run in _runs(tiling, first, stop):
        part = target[..., run.tiles, :, :]
        if run.inside.start == run.inside.stop:
            part[...] = 0
        else:
            np.matmul(matrix[:, run.inside], _windows(source, run, tiling.step), out=part)


def spread_over_tiles(matrix: Array, tiling: Tiling, first: int, stop: int, source: Array, target: Array) -> None:
    """The pixels of tile first + t = matrix @ source[..., t, :, :], as far as they lie inside the image.

    Args:
        matrix: (tiling.window, columns); tiles do not overlap.
        source: (..., stop - first, columns, run).
        target: (..., pixels, run), the pixels that `tiling.reach(first, stop)` names.
    """
    for run in _runs(tiling, first, stop):
        if run.inside.start < run.inside.stop:
            np.matmul(matrix[run.inside], source[..., run.tiles, :, :], out=_windows(target, run, tiling.step))


def _windows(pixels: Array, run: Run, step: int) -> Array:
    """(..., tiles, pixels of each that lie inside, run) of (..., pixels, run), without a copy."""
    count, width = run.tiles.stop - run.tiles.start, run.inside.stop - run.inside.start
    if count == 1:
        return pixels[..., np.newaxis, run.start : run.start + width, :]
    *leading, pixel, number = pixels.strides
    return as_strided(
        pixels[..., run.start :, :],
        (*pixels.shape[:-2], count, width, pixels.shape[-1]),
        (*leading, pixel * step, pixel, number),
    )
