from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.checking.keys import sample_key
from gpunn.data.checking.quarantine import append_to_quarantine, read_quarantine, without_quarantined, write_quarantine
from gpunn.data.dataset import Dataset, DataWarning, Split
from gpunn.data.selection import select
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.tree.dataset import read_folder
from gpunn.errors import DataError
from tests.data.pictures import random_picture, write_jpeg, write_tree


def array_split(train: int = 6, validation: int = 4) -> Split:
    halves = [
        ArrayDataset(random_picture(seed, 4 * count, 3, 1).reshape(count, 4, 3, 1), [0, 1] * (count // 2), ("a", "b"))
        for seed, count in enumerate((train, validation))
    ]
    return Split(halves[0], halves[1], "arrays")


def keys(dataset: Dataset, half: str) -> list[str]:
    return [sample_key(dataset, half, index) for index in range(len(dataset))]


def test_the_key_of_a_file_is_its_path_in_the_folder_of_both_halves(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 2, "bee": 1})
    write_tree(tmp_path / "validation", {"ant": 1, "bee": 1}, first_seed=9)
    write_jpeg(os.fsencode(tmp_path) + b"/train/bee/odd\xff\n.jpg", 20)
    split = read_folder(tmp_path, Splitting(seed=0))
    assert keys(split.train, "train") == [
        "train/ant/0.jpg",
        "train/ant/1.jpg",
        "train/bee/0.jpg",
        "train/bee/odd\udcff\n.jpg",
    ]
    assert keys(split.validation, "validation") == ["validation/ant/0.jpg", "validation/bee/0.jpg"]


@pytest.mark.parametrize("above", ["", "train"])
def test_the_key_of_a_file_does_not_tell_the_half_that_a_seed_chose(tmp_path: Path, above: str) -> None:
    write_tree(tmp_path / above, {"ant": 4, "bee": 4})
    for seed in (0, 1):
        split = read_folder(tmp_path, Splitting(seed=seed))
        found = keys(split.train, "train") + keys(split.validation, "validation")
        assert sorted(found) == [os.path.join(above, f"{name}/{n}.jpg") for name in ("ant", "bee") for n in range(4)]


def test_the_key_of_an_array_s_sample_is_its_half_and_place_through_selections() -> None:
    split = array_split()
    assert keys(split.validation, "validation") == [f"validation/{n}" for n in range(4)]
    chosen = select(select(split.train, np.array([5, 3, 1])), np.array([2, 0, 0]))
    assert keys(chosen, "train") == ["train/1", "train/5", "train/5"]


def test_the_key_of_a_selected_file_is_that_of_the_file(tmp_path: Path) -> None:
    split = read_folder(write_tree(tmp_path, {"ant": 4, "bee": 4}), Splitting(seed=0))
    chosen = select(split.train, np.array([3, 0]))
    assert keys(chosen, "train") == [keys(split.train, "train")[3], keys(split.train, "train")[0]]


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    append_to_quarantine(path, {"train/a\udcff\n\U0001f600.jpg": "truncated"})
    append_to_quarantine(path, {"b.jpg": "empty", "train/a\udcff\n\U0001f600.jpg": "said again"})
    assert read_quarantine(path) == {"train/a\udcff\n\U0001f600.jpg": "truncated", "b.jpg": "empty"}
    lines = path.read_text("ascii").splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["truncated", "empty", "said again"]
    assert os.fsencode(json.loads(lines[0])["path"]) == b"train/a\xff\n\xf0\x9f\x98\x80.jpg"


def test_a_line_that_was_not_written_to_its_end_is_dropped_and_a_missing_newline_is_not(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    write_quarantine(path, {"a": "one"})
    path.write_bytes(path.read_bytes() + b'{"path": "b", "rea')
    with pytest.warns(DataWarning, match="last line"):
        assert read_quarantine(path) == {"a": "one"}
    append_to_quarantine(path, {"c": "three"})
    assert read_quarantine(path) == {"a": "one", "c": "three"}
    path.write_bytes(b'{"reason": "one", "path": "a"}')
    append_to_quarantine(path, {"c": "three"})
    assert read_quarantine(path) == {"a": "one", "c": "three"}


@pytest.mark.parametrize(
    "line", [b"train/a.jpg", b'{"path": "a"}', b'{"path": 1, "reason": "x"}', b"[" * 100_000, b"\xff"]
)
def test_a_line_of_another_form_is_refused_with_its_number(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "quarantine.jsonl"
    write_quarantine(path, {"a": "one"})
    path.write_bytes(path.read_bytes() + b"\n" + line + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match="line 3 of the quarantine"):
        read_quarantine(path)


def test_a_quarantine_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl' cannot be read: No such file"):
        read_quarantine(tmp_path / "missing.jsonl")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "quarantine.jsonl"
    append_to_quarantine(path, {"a": "one"})
    before = path.read_bytes()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        append_to_quarantine(path, {"b": "two"})
    assert path.read_bytes() == before


def test_quarantined_pictures_are_left_out_and_the_rest_keeps_order_and_labels(tmp_path: Path) -> None:
    write_tree(tmp_path / "train", {"ant": 3, "bee": 2})
    write_tree(tmp_path / "val", {"ant": 1, "bee": 2}, first_seed=9)
    split = read_folder(tmp_path, Splitting(seed=0))
    left = without_quarantined(split, {"train/ant/1.jpg": "x", "val/bee/0.jpg": "y"})
    assert keys(left.train, "train") == ["train/ant/0.jpg", "train/ant/2.jpg", "train/bee/0.jpg", "train/bee/1.jpg"]
    assert left.train.labels.tolist() == [0, 0, 1, 1]
    assert left.train.classes == split.train.classes
    assert keys(left.validation, "validation") == ["val/ant/0.jpg", "val/bee/1.jpg"]
    assert left.description == f"{split.description}; 2 left out by the quarantine"
    assert left.train.fingerprint() != split.train.fingerprint()
    assert left.augmentation == split.augmentation


def test_an_empty_quarantine_changes_nothing() -> None:
    split = array_split()
    assert without_quarantined(split, {}) is split


def test_classes_of_which_nothing_is_left_are_warned_of() -> None:
    half = ArrayDataset(random_picture(0, 24, 3, 1).reshape(6, 4, 3, 1), [0, 1, 2, 0, 1, 2], ("a", "b", "c"))
    split = Split(half, half, "arrays")
    with pytest.warns(DataWarning, match="no training images of 1 of the 3 classes, such as 'b'"):
        left = without_quarantined(split, {"train/1": "x", "train/4": "x"})
    assert left.train.labels.tolist() == [0, 2, 0, 2]
    assert without_quarantined(split, {"train/1": "x", "validation/4": "x"}).train.classes == ("a", "b", "c")


def test_keys_that_no_picture_has_are_warned_of() -> None:
    with pytest.warns(DataWarning, match=r"1 of 2 quarantined paths are not in the data set, such as 'train/\\xff'"):
        left = without_quarantined(array_split(), {"train/\udcff": "x", "train/3": "y"})
    assert (len(left.train), len(left.validation)) == (5, 4)


def test_a_quarantine_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="there are no validation images"):
        without_quarantined(array_split(), {f"validation/{index}": "x" for index in range(4)})
