"""Which random changes training pictures go through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, TypeAlias, get_type_hints

from gpunn.data.augmenting.setting import Allowed, Setting, bounds, from_zero_below, from_zero_to, not_negative, or_none
from gpunn.errors import UsageError

ColourAxes: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""Three directions in RGB, each as long as the variance of pixels along it on the scale where 255 is 1."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from; the defaults change nothing.

    What each attribute means and which values it takes stands in its annotation; `augmentation_settings` lists them.

    Raises:
        UsageError: a range is empty or leaves its bounds, or two settings contradict each other.
    """

    shift: Annotated[
        float,
        Setting("moving", "the farthest shift to each side, as a part of the height and the width", from_zero_to(1)),
    ] = 0.0
    rotation: Annotated[
        float, Setting("moving", "the largest rotation to either side", from_zero_to(180, "degrees"))
    ] = 0.0
    scale: Annotated[
        tuple[float, float], Setting("moving", "the least and the largest enlargement", bounds("[0.8, 1.2]"))
    ] = (1.0, 1.0)
    shear: Annotated[
        float, Setting("moving", "the farthest that vertical lines lean to either side", from_zero_below(90, "degrees"))
    ] = 0.0
    mirror: Annotated[float, Setting("moving", "the probability of exchanging left and right", from_zero_to(1))] = 0.0
    crop_area: Annotated[
        tuple[float, float] | None,
        Setting(
            "cropping",
            "the least and the largest part of the area that a random crop shows; none: no crop",
            or_none(bounds("[0.08, 1.0]", 1)),
        ),
    ] = None
    crop_ratio: Annotated[
        tuple[float, float],
        Setting(
            "cropping",
            "the least and the largest width / height of the crop, drawn evenly on a logarithmic scale",
            bounds("[0.75, 1.33]"),
        ),
    ] = (3 / 4, 4 / 3)
    crop_window: Annotated[
        bool,
        Setting(
            "cropping",
            "show a random window of the network's size, out of the picture as it is scaled for evaluation; pictures "
            "that are stretched to the network's size are shown whole",
            Allowed("true or false", lambda _: True),
        ),
    ] = False
    background: Annotated[
        int,
        Setting(
            "moving",
            "the pixel value of what shifts and rotations bring in from outside",
            Allowed("a whole number from 0 to 255", lambda value: 0 <= value <= 255),
        ),
    ] = 0
    brightness: Annotated[
        float,
        Setting("colours", "pixels are multiplied by a number from 1 - brightness to 1 + brightness", from_zero_to(1)),
    ] = 0.0
    contrast: Annotated[
        float, Setting("colours", "likewise, the differences from the picture's mean luma", from_zero_to(1))
    ] = 0.0
    saturation: Annotated[
        float, Setting("colours", "likewise, the differences of each pixel from its own luma", from_zero_to(1))
    ] = 0.0
    hue: Annotated[
        float,
        Setting("colours", "the farthest that colours turn around gray to either side", from_zero_to(180, "degrees")),
    ] = 0.0
    lighting: Annotated[
        float,
        Setting(
            "colours",
            "the standard deviation of the multiple of each colour axis that is added to all pixels",
            not_negative(),
        ),
    ] = 0.0
    colour_axes: Annotated[
        ColourAxes | None,
        Setting(
            "colours",
            "principal axes of the training pixels; gpunn train measures them where lighting is set",
            Allowed("three axes of three numbers", _are_axes),
        ),
    ] = None
    noise: Annotated[
        float,
        Setting(
            "noise",
            "the standard deviation of Gaussian noise on every sample, on the scale where 255 is 1",
            from_zero_to(1),
        ),
    ] = 0.0
    erase: Annotated[
        float, Setting("erasing", "the probability of filling a rectangle with random pixels", from_zero_to(1))
    ] = 0.0
    erase_area: Annotated[
        tuple[float, float],
        Setting("erasing", "the least and the largest part of the area that is erased", bounds("[0.02, 0.4]", 1)),
    ] = (0.02, 0.4)
    erase_ratio: Annotated[
        tuple[float, float],
        Setting(
            "erasing",
            "the least and the largest width / height of what is erased, drawn as crop_ratio",
            bounds("[0.3, 3.3]"),
        ),
    ] = (0.3, 1 / 0.3)
    mixup: Annotated[
        float,
        Setting(
            "mixing",
            "both parameters of the beta distribution of a picture's share in a mixture of two; 0: no mixtures",
            not_negative(),
        ),
    ] = 0.0
    cutmix: Annotated[
        float,
        Setting(
            "mixing",
            "the same for a rectangle of another picture laid over it; with both, each has half of the pictures",
            not_negative(),
        ),
    ] = 0.0
    mix_share: Annotated[
        float, Setting("mixing", "the probability that a picture is mixed at all", from_zero_to(1))
    ] = 1.0

    def __post_init__(self) -> None:
        for name, setting in augmentation_settings().items():
            value = getattr(self, name)
            if not setting.allowed.holds(value):
                raise UsageError(f"augmentation: {name} cannot be {value}; give {setting.allowed.text}")
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


@cache
def augmentation_settings() -> Mapping[str, Setting]:
    """What the attributes of an augmentation mean, by name, in their order."""
    annotations = get_type_hints(Augmentation, include_extras=True)
    return {name: annotation.__metadata__[0] for name, annotation in annotations.items()}


def _are_axes(axes: ColourAxes | None) -> bool:
    return axes is None or all(math.isfinite(value) for axis in axes for value in axis)
