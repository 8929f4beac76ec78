from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.checking.check import check
from gpunn.data.checking.collection import Collection, Half
from gpunn.data.checking.duplicates import equal_groups
from gpunn.data.checking.keys import sample_key
from gpunn.data.checking.opening import open_collection
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.making.packing import Packing, pack
from gpunn.data.sources.opening import open_data
from tests.data.checking.hostile import Hostile
from tests.data.pictures import write_tree


def test_equal_groups_are_those_of_a_slow_search() -> None:
    digests = np.random.default_rng(0).integers(0, 2, (60, 16), dtype=np.uint8)
    digests[:, 4:12] = 0
    digests[:, 13:] = 0
    places: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        places.setdefault(digest.tobytes(), []).append(place)
    expected = [group for group in places.values() if len(group) > 1]
    assert len(expected) > 3
    assert [group.tolist() for group in equal_groups(digests)] == expected


@pytest.mark.parametrize("rows", [0, 1])
def test_few_digests_have_no_groups(rows: int) -> None:
    assert equal_groups(np.zeros((rows, 16), np.uint8)) == []


def test_pictures_that_kill_and_duplicates_are_reported_of_the_right_half() -> None:
    halves = (Half("train", Hostile(20, {7: signal.SIGSEGV})), Half("validation", Hostile(4, {2: "broken"})))
    told: list[int] = []
    report = check(Collection(halves), workers=2, progress=told.append)
    assert report.unreadable == {
        "train/7": "the process that read it was killed by SIGSEGV",
        "validation/2": "RuntimeError: broken",
    }
    assert sum(told) == report.images == 24
    # Both halves begin with the same pictures.
    assert list(report.duplicates) == [(f"train/{index}", f"validation/{index}") for index in (0, 1, 3)]
    assert report.counts == {"ant": (10, 2), "bee": (10, 2)}
    assert not report.clean


def test_a_packed_picture_whose_pixels_have_changed_is_bad(tmp_path: Path) -> None:
    split = open_data(str(write_tree(tmp_path / "tree", {"ant": 6, "bee": 6})), seed=0)
    packed = tmp_path / "tree.safetensors"
    pack(split, packed, Packing(PillowDecoder(), workers=1, size=(8, 8)))
    assert check(open_collection(str(packed)), workers=2).clean
    content = packed.read_bytes()
    place = content.index(open_data(str(packed), seed=0).train.load(3).tobytes())
    packed.write_bytes(content[: place + 100] + bytes([content[place + 100] ^ 1]) + content[place + 101 :])
    report = check(open_collection(str(packed)), workers=2)
    key = sample_key(split.train, "train", 3)
    assert key.startswith("ant/")
    assert report.unreadable == {key: "its pixels are not those that were stored; make the file anew"}
    assert (report.images, report.halves) == (12, ("train", "validation"))
    packed.write_bytes(content[:place])
    assert list(check(open_collection(str(packed)), workers=2).faults) == ["tree.safetensors"]
