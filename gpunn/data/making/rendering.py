"""Pictures of one object each, before a cluttered background: every number about them is random but the class.

The mean colour of a picture is drawn regardless of its class, so that it tells nothing; shape, texture and colours of
the largest object do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from gpunn.data.making.object_classes import ObjectClass, random_class
from gpunn.data.making.shapes import SHAPES, Plane
from gpunn.data.making.textures import TEXTURES

_CLUTTER = (6, 14)
_CLUTTER_RADIUS = (0.03, 0.08)
_OBJECT_RADIUS = (0.20, 0.34)
_MEAN_COLOUR = (95.0, 160.0)
_NOISE = 7.0

_LAYERS = ((3, 70.0), (9, 35.0), (40, 22.0), (150, 18.0))
"""Cells along the shorter side of each layer of the background, and how far its pixels reach from gray."""


@dataclass(frozen=True)
class _Placed:
    """An object of a class in a picture; lengths in pixels, the angle in radians."""

    of: ObjectClass
    top: float
    left: float
    radius: float
    angle: float


def render(of: ObjectClass, size: tuple[int, int], generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A picture of an object of the class.

    Args:
        of: the class.
        size: height and width.
        generator: its numbers make the picture.

    Returns:
        uint8, (height, width, 3).
    """
    height, width = size
    canvas = _background(size, generator)
    for _ in range(int(generator.integers(*_CLUTTER, endpoint=True))):
        _paint(canvas, _place(random_class(generator), size, _CLUTTER_RADIUS, generator), generator)
    covered = _paint(canvas, _place(of, size, _OBJECT_RADIUS, generator), generator)
    canvas *= _light(size, generator)
    # What the object adds to the mean colour is taken from the background.
    wanted = generator.uniform(*_MEAN_COLOUR, 3).astype(np.float32)
    free = 1 - covered
    canvas += ((wanted - canvas.mean(axis=(0, 1))) / free.mean()) * free[..., np.newaxis]
    # The sum of two bytes is nearly as good a noise as a normal one and made in a fraction of the time.
    grain = generator.integers(0, 256, (2, height, width, 3), np.uint8).astype(np.float32).sum(axis=0) - 255
    canvas += grain * np.float32(_NOISE * generator.uniform(0.6, 1.4) / 104)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _place(
    of: ObjectClass, size: tuple[int, int], radii: tuple[float, float], generator: np.random.Generator
) -> _Placed:
    height, width = size
    radius = generator.uniform(*radii) * min(size)
    top = generator.uniform(radius, height - radius)
    left = generator.uniform(radius, width - radius)
    return _Placed(of, top, left, radius, generator.uniform(0, 2 * math.pi))


def _paint(canvas: npt.NDArray[np.float32], placed: _Placed, generator: np.random.Generator) -> Plane:
    """Draws an object over the canvas; gives how much of each pixel it covers."""
    height, width, _ = canvas.shape
    reach = 1.25 * placed.radius + 1
    rows = slice(max(0, int(placed.top - reach)), min(height, int(placed.top + reach) + 2))
    columns = slice(max(0, int(placed.left - reach)), min(width, int(placed.left + reach) + 2))
    down = (np.arange(rows.start, rows.stop, dtype=np.float32) - np.float32(placed.top))[:, np.newaxis]
    right = (np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(placed.left))[np.newaxis]
    cosine, sine = np.float32(math.cos(placed.angle)), np.float32(math.sin(placed.angle))
    radius = np.float32(placed.radius)
    u, v = (cosine * right + sine * down) / radius, (cosine * down - sine * right) / radius
    mask = np.clip(np.float32(0.5) - radius * SHAPES[placed.of.shape](u, v), 0, 1)
    pattern = TEXTURES[placed.of.texture](u, v)[..., np.newaxis]
    first, second = placed.of.colours * generator.uniform(0.75, 1.1, (2, 1)).astype(np.float32)
    colour = first + (second - first) * pattern
    region = canvas[rows, columns]
    region += mask[..., np.newaxis] * (colour - region)
    covered = np.zeros((height, width), np.float32)
    covered[rows, columns] = mask
    return covered


def _background(size: tuple[int, int], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Clouds of several sizes, as the spectrum of photographs has them: the larger, the stronger."""
    clouds = np.full((2, 2, 3), 128, np.uint8)
    for cells, strength in _LAYERS:
        rows, columns = (max(2, min(side, round(cells * side / min(size)))) for side in size)
        grain = generator.integers(0, 256, (rows, columns, 3), np.uint8).astype(np.float32) - np.float32(127.5)
        clouds = np.clip(_scaled(clouds, (rows, columns)) + grain * np.float32(strength / 127.5), 0, 255)
        clouds = clouds.astype(np.uint8)
    return _scaled(clouds, size)


def _scaled(clouds: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    image = Image.fromarray(clouds).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float32)


def _light(size: tuple[int, int], generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """How bright the light is at each pixel, and which colour it has, (H, W, 3)."""
    height, width = size
    angle, depth = generator.uniform(0, 2 * math.pi), generator.uniform(0, 0.35)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis] * np.float32(math.sin(angle))
    right = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis] * np.float32(math.cos(angle))
    tint = generator.uniform(0.85, 1.15, 3).astype(np.float32)
    return (1 + np.float32(depth) * (down + right))[..., np.newaxis] * tint
