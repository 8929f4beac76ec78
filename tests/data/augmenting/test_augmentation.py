from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from gpunn.data.augmenting.augmentation import Augmentation, augmentation_settings
from gpunn.errors import UsageError


@pytest.mark.parametrize(
    "change",
    [
        {"shift": -0.1},
        {"shift": 1.5},
        {"rotation": 200.0},
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 0.8)},
        {"mirror": 1.1},
        {"mirror": float("nan")},
        {"crop_area": (0.0, 1.0)},
        {"crop_area": (0.5, 1.5)},
        {"crop_ratio": (2.0, 1.0)},
        {"background": 256},
        {"shear": 90.0},
        {"background": -1},
        {"brightness": 1.5},
        {"contrast": -0.1},
        {"saturation": float("nan")},
        {"hue": 181.0},
        {"lighting": float("inf")},
        {"colour_axes": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, float("nan")))},
        {"noise": 2.0},
        {"erase": 1.1},
        {"erase_area": (0.0, 0.5)},
        {"erase_ratio": (1.0, float("inf"))},
        {"mixup": -1.0},
        {"cutmix": float("inf")},
        {"mix_share": 1.5},
    ],
)
def test_ranges_outside_their_bounds_are_refused(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(UsageError) as caught:
        Augmentation(**change)
    allowed = augmentation_settings()[name].allowed.text
    assert str(caught.value) == f"augmentation: {name} cannot be {change[name]}; give {allowed}"


@pytest.mark.parametrize(
    "change",
    [
        {"shift": 0.0},
        {"shift": 1.0},
        {"rotation": 180.0},
        {"shear": 89.9},
        {"scale": (1.5, 1.5)},
        {"crop_area": (1e-9, 1.0)},
        {"crop_area": None},
        {"crop_ratio": (0.1, 100.0)},
        {"background": 255},
        {"lighting": 1e9},
        {"colour_axes": None},
    ],
)
def test_the_bounds_themselves_are_allowed(change: dict[str, Any]) -> None:
    (name,) = change
    assert getattr(Augmentation(**change), name) == change[name]


def test_every_attribute_has_a_setting() -> None:
    assert list(augmentation_settings()) == [field.name for field in fields(Augmentation)]
    assert "0 to 180 degrees" in augmentation_settings()["hue"].allowed.text


def test_examples_are_allowed() -> None:
    """What a person is told to give is taken."""
    given = 0
    for name, setting in augmentation_settings().items():
        _, such_as, example = setting.allowed.text.partition("such as ")
        if such_as:
            given += 1
            assert setting.allowed.holds(tuple(json.loads(example))), name
    assert given == 5


def test_two_ways_to_crop_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="crop_window and crop_area"):
        Augmentation(crop_window=True, crop_area=(0.1, 1.0))


@pytest.mark.parametrize(
    ("augmentation", "mixes"),
    [
        (Augmentation(), False),
        (Augmentation(mixup=0.2), True),
        (Augmentation(cutmix=1.0), True),
        (Augmentation(mixup=0.2, mix_share=0.0), False),
        (Augmentation.for_alexnet(), False),
    ],
)
def test_only_mixtures_mix(augmentation: Augmentation, mixes: bool) -> None:
    assert augmentation.mixes is mixes
