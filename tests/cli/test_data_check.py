from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.checking.quarantine import read_quarantine, without_quarantined
from gpunn.data.sources.opening import open_data
from tests.cli.conftest import Gpunn, Result
from tests.data.checking.odd_files import damaged_files, encode, picture, sound_files
from tests.data.pictures import random_picture, write_jpeg, write_tree
from tests.data.sources.shards.tars import sample, write_shard


def bad(result: Result) -> dict[str, str]:
    return {entry["path"]: entry["reason"] for entry in json.loads(result.out)["bad"]}


def warnings_of(result: Result) -> str:
    return "\n".join(json.loads(result.out)["warnings"])


def write_both_halves(root: Path) -> Path:
    write_tree(root / "train", {"ant": 3, "bee": 4})
    write_tree(root / "val", {"ant": 2, "bee": 2}, first_seed=50)
    return root


def write_pngs(folder: Path, files: Mapping[str, tuple[int, str, int, int]]) -> None:
    """Random pictures: seed, mode, height, width by name."""
    folder.mkdir(parents=True)
    for name, numbers in files.items():
        (folder / name).write_bytes(encode(picture(*numbers), "PNG"))


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def test_of_a_corpus_of_odd_files_every_bad_one_is_named_and_no_other(tmp_path: Path, gpunn: Gpunn) -> None:
    for folder, files in (("sound", sound_files()), ("damaged", damaged_files())):
        (tmp_path / folder).mkdir()
        for name, content in files:
            (tmp_path / folder / name).write_bytes(content)
    odd = [
        b"two\nlines.jpg",
        b"bytes\xff\xfe.jpg",
        b"-rf.jpg",
        b"nai\xcc\x88ve.jpg",
        b"na\xc3\xafve.jpg",
        b"x" * 251 + b".jpg",
    ]
    for seed, raw in enumerate(odd, start=200):
        write_jpeg(os.fsencode(tmp_path) + b"/sound/" + raw, seed)
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/damaged/" + raw)).write_bytes(raw)
    result = gpunn("data", "check", tmp_path, "--json")
    report = json.loads(result.out)
    damaged = {b"damaged/" + os.fsencode(name) for name, _ in damaged_files()} | {b"damaged/" + raw for raw in odd}
    assert {os.fsencode(path) for path in bad(result)} == damaged
    assert all(reason and reason.isprintable() for reason in bad(result).values())
    assert report["classes"] == {"damaged": len(damaged), "sound": len(list(sound_files())) + len(odd)}
    assert report["images"] == sum(report["classes"].values())
    assert report["duplicates"] == []
    assert bad(result)["damaged/empty.jpg"] == "the file is empty"
    assert bad(result)["damaged/page.jpg"].startswith("not an image of a known format")
    assert "limit" in bad(result)["damaged/bomb.png"]
    assert result.status == 3
    assert f"bad pictures: {len(damaged)} of {report['images']};" in result.error


def test_a_clean_tree_is_clean(tmp_path: Path, gpunn: Gpunn) -> None:
    result = gpunn("data", "check", write_both_halves(tmp_path), "--workers", 1, "--json")
    report = json.loads(result.out)
    assert (result.status, result.error) == (0, "")
    assert list(report) == ["images", "classes", "bad", "duplicates", "warnings"]
    assert (report["images"], report["classes"]) == (11, {"ant": 5, "bee": 6})
    assert (report["bad"], report["duplicates"]) == ([], [])


def test_one_picture_of_one_class(tmp_path: Path, gpunn: Gpunn) -> None:
    write_pngs(tmp_path / "ant", {"0.png": (0, "RGB", 40, 50)})
    out = gpunn("data", "check", tmp_path).out
    assert out.startswith("1 picture of 1 class\n")
    assert "training would take" not in out


def test_the_text_counts_each_half_and_escapes_names(tmp_path: Path, gpunn: Gpunn) -> None:
    write_pngs(tmp_path / "train" / "ant", {"0.png": (0, "RGB", 40, 50), "1.png": (1, "RGB", 60, 50)})
    write_pngs(tmp_path / "train" / "bee", {"0.png": (2, "L", 100, 90), "odd\n.png": (3, "L", 60, 60)})
    write_pngs(tmp_path / "val" / "ant", {"0.png": (4, "RGB", 50, 70)})
    write_pngs(tmp_path / "val" / "bee", {"0.png": (5, "L", 52, 72)})
    damage(tmp_path / "train" / "bee" / "odd\n.png")
    result = gpunn("data", "check", tmp_path)
    lines = result.out.splitlines()
    assert lines[:6] == [
        "6 pictures of 2 classes",
        "class  train  validation",
        "-----  -----  ----------",
        "ant        2           1",
        "bee        2           1",
        "sizes: smallest 40x50, median 52x70, largest 100x90 (height x width); 3 colour, 2 gray",
    ]
    assert lines[6] == "bad pictures (1):"
    assert lines[7].startswith(r"  train/bee/odd\n.png: truncated or damaged")
    assert (len(lines), result.status) == (8, 3)


def test_faults_of_the_layout_are_bad_and_the_pictures_are_read_all_the_same(tmp_path: Path, gpunn: Gpunn) -> None:
    write_both_halves(tmp_path)
    (tmp_path / "train" / "cow").mkdir()
    write_tree(tmp_path / "val", {"dog": 1}, first_seed=80)
    damage(tmp_path / "val" / "dog" / "0.jpg")
    result = gpunn("data", "check", tmp_path, "--json")
    assert set(bad(result)) == {"train/cow", "val/cow", "train/dog", "val/dog/0.jpg"}
    assert bad(result)["train/cow"].startswith("no images in this class folder")
    assert bad(result)["val/cow"] == "there is no such class folder, and there is one in train"
    assert json.loads(result.out)["classes"] == {"ant": 5, "bee": 6, "cow": 0, "dog": 1}
    assert result.status == 3
    assert "bad pictures: 1 of 12;" in result.error
    assert "faults of the layout, for which training would refuse the data: 3" in result.error


def test_faults_are_placed_by_the_folders_on_the_disk(tmp_path: Path, gpunn: Gpunn) -> None:
    (tmp_path / "train" / "ant").mkdir(parents=True)
    write_tree(tmp_path / "val", {"cow": 2})
    faults = bad(gpunn("data", "check", tmp_path, "--json"))
    assert faults["train/cow"] == "there is no such class folder, and there is one in val"


def test_two_validation_halves_are_a_fault(tmp_path: Path, gpunn: Gpunn) -> None:
    write_both_halves(tmp_path)
    write_tree(tmp_path / "validation", {"ant": 1, "bee": 1}, first_seed=90)
    result = gpunn("data", "check", tmp_path, "--json")
    assert (bad(result), result.status) == (
        {".": "holds both a folder val and a folder validation; keep one of them"},
        3,
    )
    assert json.loads(result.out)["images"] == 13


@pytest.mark.parametrize("half", ["", "val"])
def test_images_without_class_folders_are_read_and_a_fault(tmp_path: Path, gpunn: Gpunn, half: str) -> None:
    if half:
        write_tree(tmp_path / "train", {"ant": 2, "bee": 2})
    (tmp_path / half).mkdir(exist_ok=True)
    for number in range(3):
        write_jpeg(tmp_path / half / f"{number}.jpg", 60 + number)
    damage(tmp_path / half / "1.jpg")
    (tmp_path / half / "nothing").mkdir()
    result = gpunn("data", "check", tmp_path, "--json")
    assert set(bad(result)) == {half or ".", os.path.join(half, "1.jpg")}
    assert bad(result)[half or "."] == "its images lie in no class folder; sort them into one folder a class"
    assert json.loads(result.out)["images"] == (7 if half else 3)
    assert "passed over" not in warnings_of(result)


@pytest.mark.parametrize("classes", [{}, {"ant": 2}, {"ant": 2, "bee": 0}])
def test_nothing_to_learn_is_a_fault(tmp_path: Path, gpunn: Gpunn, classes: dict[str, int]) -> None:
    result = gpunn("data", "check", write_tree(tmp_path, classes), "--json")
    assert result.status == 3
    assert all(path in (".", "bee") for path in bad(result))


def test_duplicates_are_listed_and_those_across_halves_and_classes_warned_of(tmp_path: Path, gpunn: Gpunn) -> None:
    write_both_halves(tmp_path)
    for source, target in (
        ("train/ant/0.jpg", "train/ant/again.jpg"),
        ("train/ant/0.jpg", "val/ant/leaked.jpg"),
        ("train/bee/1.jpg", "train/ant/called-ant.jpg"),
    ):
        shutil.copyfile(tmp_path / source, tmp_path / target)
    for name in ("empty", "empty-too"):
        (tmp_path / "val" / "bee" / f"{name}.jpg").touch()
    result = gpunn("data", "check", tmp_path, "--json")
    groups = sorted(sorted(group) for group in json.loads(result.out)["duplicates"])
    assert groups == [
        ["train/ant/0.jpg", "train/ant/again.jpg", "val/ant/leaked.jpg"],
        ["train/ant/called-ant.jpg", "train/bee/1.jpg"],
    ]
    assert "1 picture is in more than one half, such as 'train/ant/0.jpg' and 'val/ant/leaked.jpg'" in warnings_of(
        result
    )
    assert (
        "1 picture is in more than one class, such as 'train/ant/called-ant.jpg' and 'train/bee/1.jpg'"
        in warnings_of(result)
    )


def test_duplicates_and_warnings_alone_are_clean(tmp_path: Path, gpunn: Gpunn) -> None:
    write_tree(tmp_path, {"ant": 2, "bee": 20})
    shutil.copyfile(tmp_path / "ant" / "0.jpg", tmp_path / "bee" / "again.jpg")
    result = gpunn("data", "check", tmp_path)
    assert result.status == 0
    assert "the same picture (1):\n  ant/0.jpg = bee/again.jpg" in result.out
    assert "the classes are uneven: 'bee' has 21 images, 'ant' has 2" in result.out
    assert "23 pictures are lower or narrower than 32 pixels, such as 'ant/0.jpg' of 8x9" in result.out
    assert "more than one half" not in result.out
    assert result.out.endswith("\nevery picture can be read, and training would take the data as they are\n")


def test_what_is_passed_over_is_said(tmp_path: Path, gpunn: Gpunn) -> None:
    write_both_halves(tmp_path)
    (tmp_path / "train" / "ant" / "notes.txt").write_text("x")
    (tmp_path / "train" / "ant" / "list.txt").write_text("x")
    (tmp_path / "train" / "ant" / ".hidden.jpg").write_text("x")
    write_jpeg(tmp_path / "val" / "stray.jpg", 70)
    write_tree(tmp_path / "test", {"ant": 2}, first_seed=71)
    os.mkfifo(tmp_path / "train" / "bee" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "train" / "bee" / "socket.jpg"))
    (tmp_path / "train" / "bee" / "loop").symlink_to(tmp_path / "train")
    (tmp_path / "train" / "bee" / "nowhere.jpg").symlink_to("missing")
    (tmp_path / "train" / "bee" / "linked.jpg").symlink_to(tmp_path / "val" / "stray.jpg")
    result = gpunn("data", "check", tmp_path, "--json")
    said = warnings_of(result)
    assert "passed over: 2 files with the suffix .txt, which no image file has, such as 'train/ant/list.txt'" in said
    assert "passed over: 1 file in no class folder, such as 'val/stray.jpg'" in said
    assert "passed over: 2 files outside the folders that are read, such as 'test/ant/0.jpg'" in said
    for name in ("pipe.jpg' is not a regular file", "socket.jpg' is not a regular file", "nowhere.jpg' is a link that"):
        assert name in said
    assert "loop/" in said or "loop'" in said
    assert (result.status, json.loads(result.out)["images"]) == (0, 12)


def test_a_file_that_may_not_be_read_is_bad(tmp_path: Path, gpunn: Gpunn) -> None:
    write_both_halves(tmp_path)
    locked = tmp_path / "train" / "ant" / "0.jpg"
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read every file")
    result = gpunn("data", "check", tmp_path, "--json")
    assert (bad(result), result.status) == ({"train/ant/0.jpg": "Permission denied"}, 3)


def test_the_quarantine_lists_bad_pictures_and_training_leaves_them_out(tmp_path: Path, gpunn: Gpunn) -> None:
    data, quarantine = write_both_halves(tmp_path / "data"), tmp_path / "bad.jsonl"
    (data / "train" / "cow").mkdir()
    damage(data / "train" / "bee" / "2.jpg")
    odd = Path(os.fsdecode(os.fsencode(data) + b"/val/ant/\xff.jpg"))
    odd.touch()
    result = gpunn("data", "check", data, "--quarantine", quarantine)
    assert result.status == 3
    assert f"train without them: --quarantine {quarantine}" in result.error
    reasons = read_quarantine(quarantine)
    assert set(reasons) == {"train/bee/2.jpg", "val/ant/\udcff.jpg"}
    (data / "train" / "cow").rmdir()
    split = open_data(str(data), seed=0)
    left = without_quarantined(split, reasons)
    assert (len(split.train), len(left.train)) == (7, 6)
    assert (len(split.validation), len(left.validation)) == (5, 4)
    (data / "train" / "bee" / "2.jpg").unlink()
    odd.unlink()
    assert gpunn("data", "check", data, "--quarantine", quarantine).status == 0
    assert read_quarantine(quarantine) == {}


def test_arrays_are_compared_by_their_pixels(tmp_path: Path, gpunn: Gpunn) -> None:
    images = random_picture(0, 40 * 4, 4).reshape(40, 4, 4, 3)
    images[18] = images[3]
    validation = random_picture(1, 8 * 4, 4).reshape(8, 4, 4, 3)
    validation[5] = images[0]
    np.savez(
        tmp_path / "data.npz",
        train_images=images,
        train_labels=np.arange(40) % 3,
        validation_images=validation,
        validation_labels=np.arange(8) % 2,
    )
    result = gpunn("data", "check", tmp_path / "data.npz", "--json")
    report = json.loads(result.out)
    assert (result.status, report["images"], report["classes"]) == (0, 48, {"0": 18, "1": 17, "2": 13})
    assert report["duplicates"] == [["train/0", "validation/5"], ["train/3", "train/18"]]
    assert report["warnings"] == [
        "1 picture is in more than one half, such as 'train/0' and 'validation/5'; "
        "validation on them looks better than it is",
        "1 picture is in more than one class, such as 'train/0' and 'validation/5'",
        "in validation, 1 class has no images, such as '2'",
    ]


def test_samples_of_shards_are_called_by_shard_and_member(tmp_path: Path, gpunn: Gpunn) -> None:
    for shard in range(2):
        members = [part for number in range(4) for part in sample(f"{number}", number % 2, seed=10 * shard + number)]
        if shard == 1:
            members[2] = ("1.jpg", members[2][1][:300])
            members[4] = ("2.jpg", members[0][1])
        write_shard(tmp_path / f"{shard}.tar", members)
    result = gpunn("data", "check", tmp_path, "--json")
    report = json.loads(result.out)
    assert (list(bad(result)), result.status) == (["1.tar/1.jpg"], 3)
    assert report["duplicates"] == [["1.tar/0.jpg", "1.tar/2.jpg"]]
    assert (report["images"], report["classes"]) == (8, {"0": 4, "1": 4})
    assert "more than one half" not in warnings_of(result)


def test_a_source_that_cannot_be_opened_is_bad(tmp_path: Path, gpunn: Gpunn) -> None:
    broken = tmp_path / "odd\n.npz"
    broken.write_bytes(b"PK\x03\x04 and no more")
    result = gpunn("data", "check", broken, "--json")
    assert (list(bad(result)), result.status) == (["odd\n.npz"], 3)
    assert "not a readable .npz file" in bad(result)["odd\n.npz"]


def test_wrong_use_is_told_from_bad_data(tmp_path: Path, gpunn: Gpunn) -> None:
    data = write_tree(tmp_path / "data", {"ant": 1, "bee": 1})
    missing = gpunn("data", "check", tmp_path / "missing")
    assert (missing.status, "missing'" in missing.error) == (2, True)
    assert gpunn("data", "check", data, "--workers", 0).status == 2
    for place in (tmp_path / "no" / "folder.jsonl", tmp_path):
        unwritable = gpunn("data", "check", data, "--quarantine", place)
        assert (unwritable.status, unwritable.out) == (2, "")
        assert "cannot be written" in unwritable.error
