"""How a convolution is cut into tiles and bands of tiles: computed once a geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gpunn.backend.cpu.convolution_algorithms.gather import Axis, Reading
from gpunn.backend.cpu.convolution_algorithms.plan import PLANS
from gpunn.backend.cpu.convolution_algorithms.winograd.tiling import Tiling
from gpunn.backend.cpu.shared.pieces import split

#: Bytes of the transformed inputs and products of a band that one thread works on alone.
BAND_BYTES = 6 << 20
#: Bytes of those of a band that all threads work on, each on some of the matrices.
SHARED_BAND_BYTES = 96 << 20
#: Bytes of transformed filters from which they are too large to be read once for every band that fits a cache.
LARGE_FILTERS_BYTES = 4 << 20


@dataclass(frozen=True)
class Band:
    """Tiles row .. row_stop - 1 by column .. column_stop - 1 of the images image .. image_stop - 1."""

    row: int
    row_stop: int
    column: int
    column_stop: int
    image: int
    image_stop: int

    @property
    def rows(self) -> int:
        """Tiles from top to bottom."""
        return self.row_stop - self.row

    @property
    def columns(self) -> int:
        """Tiles from left to right."""
        return self.column_stop - self.column

    @property
    def images(self) -> int:
        """How many images."""
        return self.image_stop - self.image

    @property
    def tiles(self) -> int:
        """All of them."""
        return self.rows * self.columns * self.images

    def cut(self, most: int, pieces: int) -> tuple[Band, ...]:
        """The same tiles in bands of at most `most`, and in a multiple of `pieces` where that can be.

        Whole rows if they are small enough, else parts of a row, else some of the images of one tile.
        """
        most = max(1, min(most, -(-self.tiles // pieces)))
        if most < self.images:
            return tuple(
                Band(row, row + 1, column, column + 1, self.image + first, self.image + stop)
                for row in range(self.row, self.row_stop)
                for column in range(self.column, self.column_stop)
                for first, stop in split(self.images, -(-self.images // most))
            )
        per_row = self.columns * self.images
        if most < per_row:
            parts = split(self.columns, -(-self.columns // (most // self.images)))
            return tuple(
                Band(row, row + 1, self.column + first, self.column + stop, self.image, self.image_stop)
                for row in range(self.row, self.row_stop)
                for first, stop in parts
            )
        count = -(-self.rows // (most // per_row))
        even = min(self.rows, -(-count // pieces) * pieces)
        return tuple(
            Band(self.row + first, self.row + stop, self.column, self.column_stop, self.image, self.image_stop)
            for first, stop in split(self.rows, even)
        )


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a convolution with stride and dilation 1.

    Attributes:
        inputs: of rows and of columns, overlapping windows of the input.
        outputs: of rows and of columns, pieces of the output.
        bands: the tiles that are worked on at a time; each of them in pieces for the threads.
        together: whether all threads work on one band at a time, each on some of the matrices, instead of each on
            bands of its own.
    """

    inputs: tuple[Tiling, Tiling]
    outputs: tuple[Tiling, Tiling]
    bands: tuple[tuple[Band, ...], ...]
    together: bool

    @property
    def pieces(self) -> tuple[Band, ...]:
        """The pieces of all bands."""
        return tuple(piece for band in self.bands for piece in band)

    @property
    def most_tiles(self) -> int:
        """Tiles of the largest band."""
        return max(sum(piece.tiles for piece in band) for band in self.bands)


@lru_cache(PLANS)
def plan_tiles(reading: Reading, channels: int, m: int, itemsize: int, threads: int) -> TilePlan:
    """The plan of a convolution that reads its input as `reading` says and writes `channels` channels."""
    rows, columns = reading.rows, reading.columns
    outputs = (
        Tiling(rows.outputs, -(-rows.outputs // m), m, m, 0),
        Tiling(columns.outputs, -(-columns.outputs // m), m, m, 0),
    )
    size = m + rows.taps - 1
    per_tile = size * size * (reading.C + channels) * itemsize
    whole = Band(0, outputs[0].count, 0, outputs[1].count, 0, reading.N)
    if size * size * reading.C * channels * itemsize >= LARGE_FILTERS_BYTES:
        shared = whole.cut(SHARED_BAND_BYTES // per_tile, 1)
        bands = tuple(band.cut(band.tiles, threads) for band in shared)
        return TilePlan((_windows(rows, m), _windows(columns, m)), outputs, bands, True)
    alone = whole.cut(BAND_BYTES // per_tile, threads)
    return TilePlan((_windows(rows, m), _windows(columns, m)), outputs, tuple((band,) for band in alone), False)


def _windows(axis: Axis, m: int) -> Tiling:
    return Tiling(axis.extent, -(-axis.outputs // m), m, m + axis.taps - 1, axis.offset)
