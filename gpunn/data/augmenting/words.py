"""An augmentation in words."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.data.augmenting.augmentation import Augmentation


def describe_augmentation(augmentation: Augmentation | None) -> str:
    """What is done to training pictures, in a line."""
    if augmentation is None:
        return "none"
    return ", ".join([*_shapes(augmentation), *_colours(augmentation), *_mixtures(augmentation)]) or "none"


def _shapes(augmentation: Augmentation) -> Iterator[str]:
    if augmentation.crop_window:
        yield "random windows at the scale of evaluation"
    if augmentation.crop_area is not None:
        yield "random crops of {:.0%} to {:.0%} of the area".format(*augmentation.crop_area)
    if augmentation.shift:
        yield f"shifts up to {augmentation.shift:.0%}"
    if augmentation.rotation:
        yield f"rotations up to {augmentation.rotation:g} degrees"
    if augmentation.shear:
        yield f"slants up to {augmentation.shear:g} degrees"
    if augmentation.scale != (1.0, 1.0):
        yield "scalings from {:g} to {:g}".format(*augmentation.scale)
    if augmentation.mirror:
        yield f"{augmentation.mirror:.0%} mirrored"


def _colours(augmentation: Augmentation) -> Iterator[str]:
    for name in ("brightness", "contrast", "saturation"):
        strength = getattr(augmentation, name)
        if strength:
            yield f"{name} changed by up to {strength:.0%}"
    if augmentation.hue:
        yield f"hues turned by up to {augmentation.hue:g} degrees"
    if augmentation.lighting:
        yield f"light of deviation {augmentation.lighting:g} along the colour axes"
    if augmentation.noise:
        yield f"noise of deviation {augmentation.noise:g}"
    if augmentation.erase:
        low, high = augmentation.erase_area
        yield f"{low:.0%} to {high:.0%} of the area erased in {augmentation.erase:.0%}"


def _mixtures(augmentation: Augmentation) -> Iterator[str]:
    if augmentation.mixes:
        strengths = {"mixup": augmentation.mixup, "cutmix": augmentation.cutmix}
        kinds = " or ".join(f"{kind} of strength {strength:g}" for kind, strength in strengths.items() if strength)
        yield f"{augmentation.mix_share:.0%} mixed with another picture by {kinds}"
