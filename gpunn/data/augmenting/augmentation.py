"""Random changes of training pictures that leave their class as it is.

Every number depends only on the seed, the epoch and the index of the picture, so neither the number of workers nor a
restart changes a picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpunn.data.augmenting.warp import affine_matrices, warp
from gpunn.data.decoding.picture import Box
from gpunn.errors import UsageError
from gpunn.random import Stream, generator

_AREA, _RATIO, _TOP, _LEFT, _DOWN, _RIGHT, _ROTATION, _SCALE, _MIRROR, _SHEAR = range(10)
DRAWS = 10


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from; the defaults change nothing.

    Attributes:
        shift: the farthest shift up, down, left and right, as a part of the picture's height and width.
        rotation: the largest rotation to either side, in degrees.
        scale: the least and the largest enlargement.
        shear: the farthest that vertical lines lean to either side, in degrees.
        mirror: the probability of exchanging left and right.
        crop_area: the least and the largest part of the picture's area that a random crop shows; None: no crop.
        crop_ratio: the least and the largest width / height of the crop, drawn evenly on a logarithmic scale.
        background: the pixel value, 0 to 255, of what shifts and rotations bring in from outside.

    Raises:
        UsageError: a range is empty or leaves its bounds.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    mirror: float = 0.0
    crop_area: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    background: int = 0

    def __post_init__(self) -> None:
        area = self.crop_area or (1.0, 1.0)
        sound = {
            "shift": 0.0 <= self.shift <= 1.0,
            "rotation": 0.0 <= self.rotation <= 180.0,
            "scale": 0.0 < self.scale[0] <= self.scale[1] < math.inf,
            "shear": 0.0 <= self.shear < 90.0,
            "mirror": 0.0 <= self.mirror <= 1.0,
            "crop_area": 0.0 < area[0] <= area[1] <= 1.0,
            "crop_ratio": 0.0 < self.crop_ratio[0] <= self.crop_ratio[1] < math.inf,
            "background": 0 <= self.background <= 255,
        }
        for name, is_sound in sound.items():
            if not is_sound:
                raise UsageError(f"augmentation: {name} cannot be {getattr(self, name)}")

    @classmethod
    def for_digits(cls) -> Augmentation:
        """Small shifts, rotations, slants and scalings on black; a mirrored digit would be another sign."""
        return cls(shift=0.1, rotation=15.0, scale=(0.8, 1.2), shear=20.0)

    @classmethod
    def for_photographs(cls) -> Augmentation:
        """Random crops of 8% to 100% of the area, mirrored half of the time (Szegedy et al., 2015)."""
        return cls(mirror=0.5, crop_area=(0.08, 1.0))

    def draw(self, seed: int, epoch: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Numbers from 0 to 1 for the pictures of these indices, (N, DRAWS); the other methods take them."""
        draws = np.empty((len(indices), DRAWS))
        for row, index in zip(draws, indices.tolist(), strict=True):
            generator(seed, Stream.AUGMENTATION, first=index, second=epoch).random(out=row)
        return draws

    def crop_box(self, draw: npt.NDArray[np.float64], height: int, width: int) -> Box:
        """The random crop of a picture of height x width; `crop_area` must be given.

        The area is drawn first, then the ratio among those that let this area fit into the picture, then the place.
        Where no allowed ratio fits, the nearest that does is taken.
        """
        assert self.crop_area is not None
        area = _within(self.crop_area, draw[_AREA]) * height * width
        narrowest, widest = area / height**2, width**2 / area
        low, high = (min(max(ratio, narrowest), widest) for ratio in self.crop_ratio)
        ratio = low * (high / low) ** float(draw[_RATIO])
        crop_width = min(math.sqrt(area * ratio), width)
        crop_height = min(math.sqrt(area / ratio), height)
        left = float(draw[_LEFT]) * (width - crop_width)
        top = float(draw[_TOP]) * (height - crop_height)
        return left, top, left + crop_width, top + crop_height

    def move(self, images: npt.NDArray[np.uint8], draws: npt.NDArray[np.float64]) -> None:
        """Shifts, rotates, slants and scales pictures of one size, (N, H, W, C), in place."""
        if self.shift == self.rotation == self.shear == 0.0 and self.scale == (1.0, 1.0):
            return
        _, height, width, _ = images.shape
        shift = (2 * draws[:, [_RIGHT, _DOWN]] - 1) * self.shift * (width, height)
        degrees = (2 * draws[:, _ROTATION] - 1) * self.rotation
        scale = self.scale[0] + (self.scale[1] - self.scale[0]) * draws[:, _SCALE]
        shear = (2 * draws[:, _SHEAR] - 1) * self.shear
        warp(images, affine_matrices(shift, degrees, scale, shear, (height, width)), self.background)

    def mirrored(self, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which pictures are to be mirrored, (N,); their pixels are left to the device that trains."""
        return draws[:, _MIRROR] < self.mirror


def describe_augmentation(augmentation: Augmentation | None) -> str:
    """What is done to training pictures, in words."""
    if augmentation is None:
        return "none"
    low, high = augmentation.scale
    area = augmentation.crop_area
    parts = {
        f"random crops of {area[0]:.0%} to {area[1]:.0%} of the area" if area is not None else "": area is not None,
        f"shifts up to {augmentation.shift:.0%}": augmentation.shift > 0,
        f"rotations up to {augmentation.rotation:g} degrees": augmentation.rotation > 0,
        f"slants up to {augmentation.shear:g} degrees": augmentation.shear > 0,
        f"scalings from {low:g} to {high:g}": (low, high) != (1.0, 1.0),
        f"{augmentation.mirror:.0%} mirrored": augmentation.mirror > 0,
    }
    return ", ".join(text for text, done in parts.items() if done) or "none"


def _within(bounds: tuple[float, float], part: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * float(part)
