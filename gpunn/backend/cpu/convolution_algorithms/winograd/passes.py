"""The two directions of a transform, for the tiles of one band: from pixels to matrices, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpunn.backend.cpu.convolution_algorithms.winograd.plan import Band
from gpunn.backend.cpu.convolution_algorithms.winograd.tiling import Tiling, apply_to_tiles, spread_over_tiles

Array = np.ndarray[Any, Any]
Tilings = tuple[Tiling, Tiling]


def pixels_of(image: Array, tilings: Tilings, band: Band) -> Array:
    """The part of an image, (H, W, N, C), that the tiles of a band cover."""
    top, bottom = tilings[0].reach(band.row, band.row_stop)
    left, right = tilings[1].reach(band.column, band.column_stop)
    return image[top:bottom, left:right, band.image : band.image_stop]


def gather_size(matrix: Array, tilings: Tilings, band: Band, channels: int) -> int:
    """Numbers of scratch that `gather_tiles` needs."""
    left, right = tilings[1].reach(band.column, band.column_stop)
    return band.rows * len(matrix) * (right - left) * band.images * channels


def gather_tiles(matrix: Array, tilings: Tilings, band: Band, pixels: Array, scratch: Array, out: Array) -> None:
    """out[i, j, t, u, n, c] = sum over h, w of matrix[i, h] * matrix[j, w] * (pixel h, w of tile t, u)[n, c].

    Args:
        matrix: (size, window).
        pixels: `pixels_of` the image, which is zero outside; a pixel's images and channels are in one piece.
        scratch: flat, `gather_size` numbers or more.
        out: (size, size, tiles down, tiles across, images, C), the last two in one piece.
    """
    size = len(matrix)
    rows, columns, images, channels = pixels.shape
    if pixels.size == 0:
        out[...] = 0
        return
    run = images * channels
    half = scratch[: band.rows * size * columns * run].reshape(band.rows, size, columns, run)
    # Pixel by pixel: BLAS multiplies narrow matrices where they lie, but copies wide ones first.
    source = pixels.reshape(rows, columns, run).swapaxes(0, 1)
    apply_to_tiles(matrix, tilings[0], band.row, band.row_stop, source, half.transpose(2, 0, 1, 3))
    apply_to_tiles(matrix, tilings[1], band.column, band.column_stop, half, _as_runs(out).transpose(2, 0, 3, 1, 4))


def scatter_size(matrix: Array, band: Band, channels: int) -> int:
    """Numbers of scratch that `scatter_tiles` needs."""
    return matrix.size * band.tiles * channels


def scatter_tiles(matrix: Array, tilings: Tilings, band: Band, products: Array, scratch: Array, pixels: Array) -> None:
    """(pixel h, w of tile t, u)[n, k] = sum over i, j of matrix[h, i] * matrix[w, j] * products[i, j, t, u, n, k].

    Args:
        matrix: (window, size); tiles do not overlap.
        products: (size, size, tiles down, tiles across, images, K), the last two in one piece.
        scratch: flat, `scatter_size` numbers or more.
        pixels: `pixels_of` the image; a pixel's images and channels are in one piece.
    """
    window, size = matrix.shape
    rows, columns, images, channels = pixels.shape
    run = images * channels
    half = scratch[: matrix.size * band.tiles * channels].reshape(window, size, band.rows, band.columns, run)
    planes = _as_runs(products)
    if planes.flags.c_contiguous:
        np.matmul(matrix, planes.reshape(size, -1), out=half.reshape(window, -1))
    else:
        np.matmul(matrix, planes.transpose(1, 2, 3, 0, 4), out=half.transpose(1, 2, 3, 0, 4))
    target = pixels.reshape(rows, columns, run)
    by_row = half.transpose(2, 0, 3, 1, 4)
    for row in range(band.rows):
        part = target[row * window : (row + 1) * window]
        spread_over_tiles(matrix, tilings[1], band.column, band.column_stop, by_row[row, : len(part)], part)


def _as_runs(array: Array) -> Array:
    """The last two axes as one."""
    return array.reshape(*array.shape[:-2], array.shape[-2] * array.shape[-1])
