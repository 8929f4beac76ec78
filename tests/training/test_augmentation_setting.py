from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.errors import UsageError
from gpunn.training.augmentation_setting import chosen_augmentation, with_colour_axes
from gpunn.training.configuration import configure, parse_assignments
from gpunn.training.run_folder import RunFolder

SUITED = Augmentation(shift=0.3)
AXES = ((0.1, 0.2, 0.1 + 0.2), (0.0, 1 / 3, -1e-17), (-0.5, 0.0, 0.25))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("auto", SUITED),
        ("none", None),
        ("digits", Augmentation.for_digits()),
        ("photographs", Augmentation(mirror=0.5, crop_area=(0.08, 1.0))),
        ("alexnet", Augmentation(mirror=0.5, crop_window=True, lighting=0.1)),
        ({}, SUITED),
        ({"base": "none"}, None),
        ({"mixup": 0.2}, Augmentation(shift=0.3, mixup=0.2)),
        ({"base": "none", "cutmix": 1}, Augmentation(cutmix=1.0)),
        (
            {"base": "photographs", "crop_area": [0.25, 1], "brightness": 0.4},
            Augmentation(mirror=0.5, crop_area=(0.25, 1.0), brightness=0.4),
        ),
        (
            {"base": "alexnet", "background": 128},
            Augmentation(0, mirror=0.5, crop_window=True, lighting=0.1, background=128),
        ),
    ],
)
def test_a_setting_is_a_name_or_changes_to_one(setting: Any, expected: Augmentation | None) -> None:
    assert chosen_augmentation(setting, SUITED) == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("photograps", "there is no augmentation 'photograps'; did you mean 'photographs'?"),
        ("xyz", "known are auto, none, digits, photographs, alexnet"),
        ({"mixpu": 0.2}, "there is no setting of the augmentation 'mixpu'; did you mean 'mixup'?"),
        ({"base": 3}, "there is no augmentation 3"),
        ({"bas": "none"}, "did you mean 'base'?"),
        ({"colour": 0.3}, "'colour'; known are moving (shift, rotation, scale, shear, mirror, background), cropping "),
        ({"mixpu": 0.2}, "mixing (mixup, cutmix, mix_share), and base; `gpunn augmentations` explains them"),
        ({"base": [1]}, "there is no augmentation [1]; known are auto, none, digits"),
        ({"mixup": "much"}, "augmentation.mixup is 'much'; give a number, 0 or more"),
        ({"mirror": 1.5}, "mirror cannot be 1.5; give a number from 0 to 1"),
        ({"hue": 200}, "hue cannot be 200.0; give a number from 0 to 180 degrees"),
        (
            {"crop_area": 0.5},
            "crop_area is 0.5; give two numbers, the smaller one first, above 0 and at most 1, such as",
        ),
        ({"scale": [1, "x"]}, "augmentation.scale is [1, 'x']; give two numbers"),
        ({"mixup": True}, "augmentation.mixup is True"),
        ({"mixup": float("nan")}, "mixup cannot be nan"),
        ({"crop_area": [0.5]}, "augmentation.crop_area"),
        ({"crop_area": [0.5, 1.5]}, "crop_area cannot be (0.5, 1.5)"),
        ({"crop_window": "yes"}, "augmentation.crop_window is 'yes'; give true or false"),
        ({"background": 1.5}, "augmentation.background is 1.5; give a whole number from 0 to 255"),
        ({"base": "photographs", "crop_window": True}, "crop_window and crop_area"),
        ({"mixup": tomllib.loads("day = 2024-01-01")["day"]}, "give numbers"),
    ],
)
def test_what_is_not_known_is_named(setting: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        configure({"augmentation": setting})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", [3, ["digits"], None])
def test_what_is_neither_name_nor_table_is_refused(setting: object) -> None:
    with pytest.raises(UsageError, match="augmentation"):
        configure({"augmentation": setting})


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (["augmentation=none"], "none"),
        (["augmentation.mixup=0.2"], {"mixup": 0.2}),
        (["augmentation.mixup=0.2", "augmentation.crop_area=[0.2, 1]"], {"mixup": 0.2, "crop_area": [0.2, 1]}),
        (["augmentation=alexnet", "augmentation.mixup=0.2"], {"base": "alexnet", "mixup": 0.2}),
        (['augmentation={base = "digits", noise = 0.1}', "augmentation.noise=0.2"], {"base": "digits", "noise": 0.2}),
        (["augmentation.base=photographs"], {"base": "photographs"}),
    ],
)
def test_assignments_set_it_whole_or_entry_by_entry(assignments: list[str], expected: object) -> None:
    assert configure(parse_assignments(assignments)).augmentation == expected


def test_an_entry_changes_what_the_file_says() -> None:
    file = tomllib.loads('[augmentation]\nbase = "photographs"\nmixup = 0.4\n')
    found = configure(file, parse_assignments(["augmentation.mixup=0.1"])).augmentation
    assert found == {"base": "photographs", "mixup": 0.1}
    assert file["augmentation"]["mixup"] == 0.4


def test_no_other_setting_has_entries() -> None:
    with pytest.raises(UsageError, match=r"no setting 'momentum\.x'"):
        configure(parse_assignments(["momentum.x=1"]))


@pytest.mark.parametrize("setting", ["digits", {"base": "alexnet", "erase_area": [0.1, 0.2], "mixup": 1}])
def test_it_survives_files_bit_for_bit(setting: Any, tmp_path: Path) -> None:
    configuration = configure({"augmentation": with_colour_axes(setting, AXES)})
    folder = RunFolder(tmp_path)
    folder.write_configuration(configuration.model_dump())
    kept = json.loads(json.dumps(configuration.model_dump(mode="json")))
    for found in (configure(folder.read_configuration()), configure(kept)):
        assert found == configuration
        augmentation = chosen_augmentation(found.augmentation, None)
        assert augmentation is not None
        assert augmentation.colour_axes == AXES
