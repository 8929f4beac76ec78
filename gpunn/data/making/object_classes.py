"""What distinguishes the classes of rendered pictures: each has its own combination of shape, texture and colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpunn.data.making.shapes import SHAPES
from gpunn.data.making.textures import TEXTURES
from gpunn.errors import UsageError

PALETTES: Mapping[str, int] = {
    "red": 0,
    "azure": 210,
    "lime": 85,
    "violet": 265,
    "orange": 30,
    "cyan": 185,
    "rose": 335,
    "green": 125,
    "yellow": 55,
    "blue": 235,
    "magenta": 295,
    "mint": 160,
}
"""The hue of the first colour, in degrees; neighbours in the list are at least 60 degrees apart."""

MAXIMUM_CLASSES = len(SHAPES) * len(TEXTURES) * len(PALETTES)


@dataclass(frozen=True)
class ObjectClass:
    """What all objects of a class have in common.

    Attributes:
        shape: a name of `SHAPES`.
        texture: a name of `TEXTURES`.
        palette: a name of `PALETTES`.
    """

    shape: str
    texture: str
    palette: str

    @property
    def colours(self) -> npt.NDArray[np.float32]:
        """Both colours of the texture, (2, 3), on the scale where 255 is white."""
        hue = PALETTES[self.palette] / 360
        first = colorsys.hsv_to_rgb(hue, 0.85, 0.9)
        second = colorsys.hsv_to_rgb((hue + 0.45) % 1, 0.6, 0.35)
        return 255 * np.array([first, second], np.float32)


def object_classes(count: int) -> tuple[ObjectClass, ...]:
    """The first classes of a fixed list. Neighbours differ in all three respects.

    Raises:
        UsageError: there are not so many combinations, or fewer than two are asked for.
    """
    if not 2 <= count <= MAXIMUM_CLASSES:
        raise UsageError(f"{count} classes cannot be rendered; give a number from 2 to {MAXIMUM_CLASSES}")
    return tuple(_combination(number) for number in range(count))


def random_class(generator: np.random.Generator) -> ObjectClass:
    """Any combination."""
    return _combination(int(generator.integers(MAXIMUM_CLASSES)))


def class_folder(number: int, of: ObjectClass) -> str:
    """The name of a class folder, such as "0003-ring-dots-violet"; sorted, they have the order of the numbers."""
    return f"{number:04d}-{of.shape}-{of.texture}-{of.palette}"


def _combination(number: int) -> ObjectClass:
    # Each part moves on with every number; together with what came before, it tells the number.
    shapes, textures, palettes = list(SHAPES), list(TEXTURES), list(PALETTES)
    shape = number % len(shapes)
    texture = (number // len(shapes) + shape) % len(textures)
    palette = (number // (len(shapes) * len(textures)) + shape + 4 * texture) % len(palettes)
    return ObjectClass(shapes[shape], textures[texture], palettes[palette])
