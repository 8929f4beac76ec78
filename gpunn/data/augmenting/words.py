"""An augmentation in words."""

from __future__ import annotations

from gpunn.data.augmenting.augmentation import Augmentation


def describe_augmentation(augmentation: Augmentation | None) -> str:
    """What is done to training pictures, in a line."""
    if augmentation is None:
        return "none"
    return ", ".join([*_shapes(augmentation), *_colours(augmentation), *_mixtures(augmentation)]) or "none"


def _shapes(augmentation: Augmentation) -> list[str]:
    low, high = augmentation.scale
    area = augmentation.crop_area
    parts = {
        "random windows at the scale of evaluation": augmentation.crop_window,
        f"random crops of {area[0]:.0%} to {area[1]:.0%} of the area" if area is not None else "": area is not None,
        f"shifts up to {augmentation.shift:.0%}": augmentation.shift > 0,
        f"rotations up to {augmentation.rotation:g} degrees": augmentation.rotation > 0,
        f"slants up to {augmentation.shear:g} degrees": augmentation.shear > 0,
        f"scalings from {low:g} to {high:g}": (low, high) != (1.0, 1.0),
        f"{augmentation.mirror:.0%} mirrored": augmentation.mirror > 0,
    }
    return _told(parts)


def _colours(augmentation: Augmentation) -> list[str]:
    low, high = augmentation.erase_area
    parts = {
        **{
            f"{name} changed by up to {getattr(augmentation, name):.0%}": getattr(augmentation, name) > 0
            for name in ("brightness", "contrast", "saturation")
        },
        f"hues turned by up to {augmentation.hue:g} degrees": augmentation.hue > 0,
        f"light of deviation {augmentation.lighting:g} along the colour axes": augmentation.lighting > 0,
        f"noise of deviation {augmentation.noise:g}": augmentation.noise > 0,
        f"{low:.0%} to {high:.0%} of the area erased in {augmentation.erase:.0%}": augmentation.erase > 0,
    }
    return _told(parts)


def _mixtures(augmentation: Augmentation) -> list[str]:
    if not augmentation.mixes:
        return []
    kinds = {
        f"mixup ({augmentation.mixup:g})": augmentation.mixup > 0,
        f"cutmix ({augmentation.cutmix:g})": augmentation.cutmix > 0,
    }
    return [f"{' or '.join(_told(kinds))} of {augmentation.mix_share:.0%}"]


def _told(parts: dict[str, bool]) -> list[str]:
    return [text for text, done in parts.items() if done]
