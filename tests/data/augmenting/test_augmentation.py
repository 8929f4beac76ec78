from __future__ import annotations

from typing import Any

import pytest

from gpunn.data.augmenting.augmentation import Augmentation
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
    with pytest.raises(UsageError, match=f"augmentation: {next(iter(change))} cannot be"):
        Augmentation(**change)


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
