"""Which random changes training pictures go through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from gpunn.errors import UsageError

ColourAxes: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""Three directions in RGB, each as long as the variance of pixels along it on the scale where 255 is 1."""


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
        crop_window: show a random window of the network's size, out of the picture as it is scaled for evaluation;
            pictures that are stretched to the network's size are shown whole.
        background: the pixel value, 0 to 255, of what shifts and rotations bring in from outside.
        brightness: pixels are multiplied by a number from 1 - brightness to 1 + brightness.
        contrast: likewise, the differences from the picture's mean luma.
        saturation: likewise, the differences of each pixel from its own luma.
        hue: the farthest that colours turn around gray to either side, in degrees.
        lighting: the standard deviation of the multiple of each colour axis that is added to all pixels.
        colour_axes: principal axes of the training pixels; whoever sets `lighting` has them measured.
        noise: the standard deviation of Gaussian noise on every sample, on the scale where 255 is 1.
        erase: the probability of filling a rectangle with random pixels.
        erase_area: the least and the largest part of the picture's area that is erased.
        erase_ratio: the least and the largest width / height of what is erased, drawn as `crop_ratio`.
        mixup: both parameters of the beta distribution of a picture's share in a mixture of two; 0: no mixtures.
        cutmix: the same for a rectangle of another picture laid over it; with both, each has half of the pictures.
        mix_share: the probability that a picture is mixed at all.

    Raises:
        UsageError: a range is empty or leaves its bounds, or two settings contradict each other.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    mirror: float = 0.0
    crop_area: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    crop_window: bool = False
    background: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    lighting: float = 0.0
    colour_axes: ColourAxes | None = None
    noise: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.4)
    erase_ratio: tuple[float, float] = (0.3, 1 / 0.3)
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0

    def __post_init__(self) -> None:
        shares = ("shift", "mirror", "brightness", "contrast", "saturation", "noise", "erase", "mix_share")
        axes = self.colour_axes
        sound = {
            "from 0 to 1": {name: 0.0 <= getattr(self, name) <= 1.0 for name in shares},
            "from 0 to 180": {name: 0.0 <= getattr(self, name) <= 180.0 for name in ("rotation", "hue")},
            "from 0, below 90": {"shear": 0.0 <= self.shear < 90.0},
            "from 0 to 255": {"background": 0 <= self.background <= 255},
            "0 or more": {name: 0.0 <= getattr(self, name) < math.inf for name in ("lighting", "mixup", "cutmix")},
            "two numbers above 0 in order": {
                name: _is_range(getattr(self, name), math.inf) for name in ("scale", "crop_ratio", "erase_ratio")
            },
            "two numbers above 0 in order, up to 1": {
                "crop_area": self.crop_area is None or _is_range(self.crop_area, 1.0),
                "erase_area": _is_range(self.erase_area, 1.0),
            },
            "three axes of finite numbers": {
                "colour_axes": axes is None or all(math.isfinite(value) for axis in axes for value in axis)
            },
        }
        for allowed, settings in sound.items():
            for name, is_sound in settings.items():
                if not is_sound:
                    raise UsageError(f"augmentation: {name} cannot be {getattr(self, name)}; give {allowed}")
        if self.crop_window and self.crop_area is not None:
            raise UsageError(
                "augmentation: crop_window and crop_area are two ways to choose what a picture shows; take one"
            )

    @classmethod
    def for_digits(cls) -> Augmentation:
        """Small shifts, rotations, slants and scalings on black; a mirrored digit would be another sign."""
        return cls(shift=0.1, rotation=15.0, scale=(0.8, 1.2), shear=20.0)

    @classmethod
    def for_photographs(cls) -> Augmentation:
        """Random crops of 8% to 100% of the area, mirrored half of the time (Szegedy et al., 2015, section 6)."""
        return cls(mirror=0.5, crop_area=(0.08, 1.0))

    @classmethod
    def for_alexnet(cls) -> Augmentation:
        """Random windows, mirrored half of the time, and light (Krizhevsky, Sutskever and Hinton, 2012, section 4.1).

        The colour axes have to be added.
        """
        return cls(crop_window=True, mirror=0.5, lighting=0.1)

    @property
    def mixes(self) -> bool:
        """Whether pictures show parts of others, so that their labels are shares of classes."""
        return self.mix_share > 0.0 and (self.mixup > 0.0 or self.cutmix > 0.0)

    @property
    def moves(self) -> bool:
        """Whether pictures are shifted, turned, slanted or scaled."""
        return any((self.shift, self.rotation, self.shear)) or self.scale != (1.0, 1.0)

    @property
    def colours(self) -> bool:
        """Whether colours are changed."""
        return any((self.brightness, self.contrast, self.saturation, self.hue, self.lighting))

    @property
    def draws(self) -> bool:
        """Whether any of it needs a random number for each picture."""
        cropped = self.crop_area is not None or self.crop_window
        return cropped or self.moves or self.colours or self.mixes or self.mirror > 0.0 or self.erase > 0.0


def _is_range(bounds: tuple[float, float], most: float) -> bool:
    """Whether both are above 0, finite, at most `most`, and in order."""
    return 0.0 < bounds[0] <= bounds[1] <= most and math.isfinite(bounds[1])
