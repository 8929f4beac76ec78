"""gpunn augmentations."""

from __future__ import annotations

import json

from gpunn.training.configuration import configure, parse_assignments
from tests.cli.conftest import Gpunn


def test_names_and_settings_are_listed(gpunn: Gpunn) -> None:
    result = gpunn("augmentations")
    assert (result.status, result.error) == (0, "")
    words = " ".join(result.out.split())
    assert "auto what suits the data" in words
    assert "photographs random crops of 8% to 100% of the area, 50% mirrored" in words
    assert "hue=0 the farthest that colours turn around gray to either side (a number from 0 to 180 degrees)" in words
    assert "crop_ratio=[0.75, 1.333] the least" in words
    assert "crop_area=none" in words
    assert "crop_window=false" in words
    assert max(map(len, result.out.splitlines())) <= 110


def test_a_program_reads_the_same(gpunn: Gpunn) -> None:
    found = json.loads(gpunn("augmentations", "--json").out)
    assert set(found) == {"augmentations", "settings"}
    assert found["augmentations"]["none"] == "none"
    assert found["settings"]["rotation"] == {
        "default": 0.0,
        "allowed": "a number from 0 to 180 degrees",
        "meaning": "the largest rotation to either side",
        "topic": "moving",
    }
    for name in found["augmentations"]:
        configure({"augmentation": name})


def test_every_default_that_is_shown_can_be_set(gpunn: Gpunn) -> None:
    settings = json.loads(gpunn("augmentations", "--json").out)["settings"]
    given = [f"augmentation.{name}={json.dumps(one['default'])}" for name, one in settings.items() if one["default"]]
    configure(parse_assignments(given))
