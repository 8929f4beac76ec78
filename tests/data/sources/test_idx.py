from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.idx import is_idx, read_idx, read_idx_folder
from gpunn.data.sources.opening import open_data, open_for_measuring
from gpunn.errors import DataError
from tests.data.pictures import random_picture
from tests.data.sources.idx_files import idx, write_half

IMAGES = random_picture(0, 6 * 4, 5, 1).reshape(6, 4, 5)
LABELS = [0, 2, 1, 1, 0, 2]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("test_half", ["t10k", "test", "val", "validation"])
def test_a_folder_of_idx_files_is_a_data_set(tmp_path: Path, test_half: str, packed: bool) -> None:
    write_half(tmp_path, "train", IMAGES, LABELS, packed=packed)
    write_half(tmp_path, test_half, IMAGES[:2], LABELS[:2], packed=packed)
    split = open_data(str(tmp_path), seed=0)
    assert (len(split.train), split.train.picture_shape, split.train.classes) == (6, (4, 5, 1), ("0", "1", "2"))
    assert split.train.labels.tolist() == LABELS
    for index in range(6):
        np.testing.assert_array_equal(split.train.load(index), IMAGES[index, :, :, np.newaxis])
    assert split.validation.labels.tolist() == [0, 2]
    assert len(open_for_measuring(str(tmp_path))) == 2


def test_training_images_alone_are_divided_by_the_seed(tmp_path: Path) -> None:
    write_half(tmp_path, "train", IMAGES, LABELS)
    split = read_idx_folder(tmp_path).split(Splitting(seed=1, validation_fraction=0.5))
    assert sorted(split.train.labels) == sorted(split.validation.labels) == [0, 1, 2]
    with pytest.raises(DataError, match="no validation images"):
        open_for_measuring(str(tmp_path))


def test_test_images_alone_are_only_measured_on(tmp_path: Path) -> None:
    write_half(tmp_path, "t10k", IMAGES, LABELS)
    assert len(open_for_measuring(str(tmp_path))) == 6
    with pytest.raises(DataError, match="no training images"):
        open_data(str(tmp_path), seed=0)


def test_names_may_have_a_beginning_of_their_own_and_classes_may_have_names(tmp_path: Path) -> None:
    write_half(tmp_path, "emnist-letters-train", IMAGES, LABELS, packed=True)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert is_idx(tmp_path)
    assert read_idx_folder(tmp_path).split(Splitting(0)).train.classes == ("a", "b", "c")


def test_of_a_file_and_its_packed_copy_one_is_read(tmp_path: Path) -> None:
    for packed in (False, True):
        write_half(tmp_path, "train", IMAGES, LABELS, packed=packed)
    assert len(read_idx_folder(tmp_path).split(Splitting(0, 0.5)).train) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["begins with ''"]),
        (b"\x89PNG\r\n\x1a\n", ["begins with '89 50 4e 47'", "'00 00 08 03'"]),
        (idx([6], bytes(6)), ["'00 00 08 01'", "3 dimensions"]),
        (idx([2, 2, 2], bytes(32), kind=13), ["'00 00 0d 03'", "unsigned bytes"]),
        (idx([2, 2, 2], bytes(8))[:9], ["truncated", "unfinished header"]),
        (idx([2, 2, 2], bytes(7)), ["truncated", "7 of 8 bytes", "2 x 2 x 2"]),
        (idx([2, 2, 2], bytes(9)), ["damaged", "goes on after the 8 bytes"]),
        (idx([0xFFFFFFFF] * 3, bytes(8)), ["truncated", "4294967295 x 4294967295"]),
        (gzip.compress(idx([0xFFFFFFFF] * 3, bytes(8)), mtime=0), ["truncated", "4294967295"]),
        (gzip.compress(idx([2, 2, 2], bytes(7)), mtime=0), ["truncated", "7 of 8 bytes"]),
        (gzip.compress(idx([2, 2, 2], bytes(8)), mtime=0)[:-9], ["not a readable IDX file"]),
        (gzip.compress(idx([2, 2, 2], bytes(8)), mtime=0)[:12] + b"garbage", ["not a readable IDX file"]),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_idx(path, 3)
    assert all(word in str(refusal.value) for word in [str(path), *words])


def test_images_and_labels_that_differ_in_number_are_refused(tmp_path: Path) -> None:
    write_half(tmp_path, "train", IMAGES, LABELS[:4])
    with pytest.raises(DataError, match=r"train images .*6 images need labels of shape \(6,\), got \(4,\)"):
        read_idx_folder(tmp_path)


def test_missing_and_ambiguous_counterparts_are_named(tmp_path: Path) -> None:
    write_half(tmp_path, "train", IMAGES, LABELS)
    labels = tmp_path / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    with pytest.raises(DataError, match="one IDX file of train-labels; there is none"):
        read_idx_folder(tmp_path)
    for name in ("a-train-labels-idx1-ubyte", "b-train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="there is a-train-labels-idx1-ubyte, b-train-labels-idx1-ubyte"):
        read_idx_folder(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (LABELS, [0, 3], ["sample 1", "label 3", "0 to 2"]),
        ([0] * 6, [0, 0], ["one class", "'0'"]),
        ([], [0, 1], ["no training images"]),
        (LABELS, [], ["no validation images"]),
    ],
)
def test_labels_that_cannot_be_learnt_from_are_refused(
    tmp_path: Path, train: list[int], test: list[int], words: list[str]
) -> None:
    write_half(tmp_path, "train", IMAGES[: len(train)], train)
    write_half(tmp_path, "t10k", IMAGES[: len(test)], test)
    with pytest.raises(DataError) as refusal:
        open_data(str(tmp_path), seed=0)
    assert all(word in str(refusal.value) for word in words)
