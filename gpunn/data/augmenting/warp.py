"""Shift, rotation, shear and scaling of a batch of pictures in one pass of array operations.

Few long calls instead of several short ones a picture: each call of a data thread has to win the interpreter lock
back from the thread that trains.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK_PIXELS = 1 << 17
"""Output pixels that are worked on at once, which bounds the scratch memory."""


def affine_matrices(
    shift: npt.NDArray[np.float64],
    degrees: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    shear: npt.NDArray[np.float64],
    size: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """Maps that slant, turn, enlarge and shift pictures about their centre, as `warp` takes them.

    With output position p, centre c, shift t, rotation R, shear S and scale s, the source position is
    S^-1 R^-1 (p - c - t) / s + c.

    Args:
        shift: (N, 2), right and down, in pixels.
        degrees: (N,), the rotation, clockwise as seen on a screen.
        scale: (N,), above 1 enlarges.
        shear: (N,), in degrees: how far vertical lines lean to the right.
        size: height and width.

    Returns:
        (N, 2, 3): rows for the source x and y, columns for output x, output y and 1.
    """
    radians = np.deg2rad(degrees)
    cosine, sine = np.cos(radians) / scale, np.sin(radians) / scale
    matrices = np.empty((len(scale), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = cosine
    matrices[:, 0, 1], matrices[:, 1, 0] = sine, -sine
    # Up is against y, so a line that leans right has its x grow as its y falls.
    matrices[:, 0, :2] += np.tan(np.deg2rad(shear))[:, np.newaxis] * matrices[:, 1, :2]
    height, width = size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = np.matmul(matrices[:, :, :2], (centre + shift)[:, :, np.newaxis])[:, :, 0]
    matrices[:, :, 2] = centre - moved
    return matrices


def warp(images: npt.NDArray[np.uint8], matrices: npt.NDArray[np.float64], background: int) -> None:
    """Moves the pictures in place: each output pixel is read, bilinearly, at the place its matrix names.

    Args:
        images: (N, H, W, C), overwritten.
        matrices: (N, 2, 3), from output to source positions, where (0, 0) is the centre of the upper left pixel.
        background: the value that lies around every picture.
    """
    block = max(1, BLOCK_PIXELS // (images.shape[1] * images.shape[2]))
    for first in range(0, len(images), block):
        _warp_block(images[first : first + block], matrices[first : first + block].astype(np.float32), background)


def _warp_block(images: npt.NDArray[np.uint8], matrices: npt.NDArray[np.float32], background: int) -> None:
    count, height, width, channels = images.shape
    source_x = _positions(matrices[:, 0], height, width)
    source_y = _positions(matrices[:, 1], height, width)
    # A border of background makes every position beyond it read background, and no neighbour miss.
    np.clip(source_x, -1, width, out=source_x)
    np.clip(source_y, -1, height, out=source_y)
    source_x += 1
    source_y += 1
    column, row = source_x.astype(np.int32), source_y.astype(np.int32)
    source_x -= column
    source_y -= row
    pitch = width + 3
    picture = np.arange(count, dtype=np.int32)[:, np.newaxis, np.newaxis] * np.int32((height + 3) * pitch)
    corner = picture + row * np.int32(pitch) + column

    bordered = np.full((count, height + 3, pitch), background, np.uint8)
    for channel in range(channels):
        bordered[:, 1 : height + 1, 1 : width + 1] = images[..., channel]
        upper = _between(bordered, corner, source_x)
        lower = _between(bordered, corner + np.int32(pitch), source_x)
        lower -= upper
        lower *= source_y
        upper += lower
        upper += np.float32(0.5)
        images[..., channel] = upper


def _positions(rows: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """One source coordinate of every output pixel, (N, H, W), from one row of each matrix, (N, 3)."""
    across = rows[:, 0, np.newaxis] * np.arange(width, dtype=np.float32)
    along = rows[:, 1, np.newaxis] * np.arange(height, dtype=np.float32) + rows[:, 2, np.newaxis]
    return np.add(across[:, np.newaxis, :], along[:, :, np.newaxis], dtype=np.float32)


def _between(
    plane: npt.NDArray[np.uint8], corner: npt.NDArray[np.int32], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Pixels mixed with their right neighbours, whose part is `weight`; `corner` indexes the flat plane."""
    left = plane.take(corner).astype(np.float32)
    right = plane.take(corner + np.int32(1)).astype(np.float32)
    right -= left
    right *= weight
    left += right
    return left
