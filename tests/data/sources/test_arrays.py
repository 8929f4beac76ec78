from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.sources.arrays import ArrayDataset, read_npz
from gpunn.data.sources.halves import Splitting
from gpunn.errors import DataError
from tests.data.sources.array_files import IMAGES, LABELS, Trap, both_halves

CLASSES = ("cat", "dog", "owl")


def write_npz(path: Path, **changes: Any) -> Path:
    np.savez(path, **both_halves(**changes))
    return path


def test_holds_the_pictures_and_labels() -> None:
    data = ArrayDataset(IMAGES, LABELS.astype(np.uint16), CLASSES, "my array")
    assert (len(data), data.picture_shape, data.classes) == (6, (4, 5, 3), CLASSES)
    assert data.labels.dtype == np.int32
    assert data.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(data.load(4), IMAGES[4])
    assert data.name(4) == "image 4 of my array"


def test_images_without_a_channel_axis_have_one_channel() -> None:
    data = ArrayDataset(IMAGES[..., 0], LABELS, CLASSES)
    assert data.picture_shape == (4, 5, 1)
    np.testing.assert_array_equal(data.load(2), IMAGES[2, :, :, :1])


@pytest.mark.parametrize(
    ("position", "label", "dtype", "words"),
    [
        (2, 3, np.int64, ["sample 2", "label 3", "0 to 2"]),
        (5, -1, np.int8, ["sample 5", "label -1"]),
        (4, 2**40, np.int64, ["sample 4", str(2**40)]),
        (1, 2**63 + 1, np.uint64, ["sample 1", str(2**63 + 1)]),
        (3, 0.5, np.float32, ["integers", "float32", "sample 3", "0.5"]),
        (3, np.nan, np.float64, ["integers", "sample 3", "nan"]),
        (0, 1.0, np.float64, ["integers", "float64"]),
        (0, True, np.bool_, ["integers", "bool"]),
    ],
)
def test_a_wrong_label_is_refused_with_its_sample(position: int, label: Any, dtype: Any, words: list[str]) -> None:
    labels = np.array([0, 1, 1, 0, 1, 1]).astype(dtype)
    labels[position] = label
    with pytest.raises(DataError) as refusal:
        ArrayDataset(IMAGES, labels, CLASSES, "my array")
    assert all(word in str(refusal.value) for word in ["my array", *words])


def test_text_labels_are_refused() -> None:
    with pytest.raises(DataError, match="integers"):
        ArrayDataset(IMAGES, np.array(list("abcabc")), CLASSES)


@pytest.mark.parametrize(
    ("images", "labels", "word"),
    [
        (IMAGES.astype(np.float32), LABELS, "float32"),
        (IMAGES[..., :2], LABELS, r"1 or 3 channels"),
        (IMAGES[0, 0], LABELS, r"shape"),
        (IMAGES[:, :0], LABELS, r"shape"),
        (IMAGES, LABELS[:5], r"6 images need labels"),
        (IMAGES, LABELS[:, None], r"6 images need labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images: Any, labels: Any, word: str) -> None:
    with pytest.raises(DataError, match=word):
        ArrayDataset(images, labels, CLASSES)


def test_targets_stand_beside_or_in_place_of_labels() -> None:
    values = np.arange(12.0).reshape(6, 2)
    labelled = ArrayDataset(IMAGES, LABELS, CLASSES, targets={"size": values})
    np.testing.assert_array_equal(labelled.targets["size"], values)
    assert labelled.labels.tolist() == LABELS.tolist()
    alone = ArrayDataset(IMAGES, targets={"size": values})
    assert (alone.classes, alone.labels.tolist()) == ((), [0] * 6)
    assert ArrayDataset(IMAGES, LABELS, CLASSES).targets == {}


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"size": np.zeros((5, 2))}, ["6 images", "'size'", "(5, 2)"]),
        ({"size": np.float64(1)}, ["'size'", "()"]),
        ({"size": np.where(np.arange(12).reshape(6, 2) == 9, np.nan, 1.0)}, ["'size'", "sample 4", "not finite"]),
        ({"size": np.where(np.arange(6) > 2, np.inf, 1.0)}, ["sample 3", "2 more"]),
        ({"size": np.array(list("abcdef"))}, ["'size'", "numbers"]),
        ({"labels": np.zeros((6, 2))}, ["'labels'", "another name"]),
    ],
)
def test_wrong_targets_are_refused(targets: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(DataError) as refusal:
        ArrayDataset(IMAGES, LABELS, CLASSES, "my array", targets)
    assert all(word in str(refusal.value) for word in ["my array", *words])


def test_images_with_neither_labels_nor_targets_are_refused() -> None:
    for classes in ((), CLASSES):
        with pytest.raises(DataError, match="need targets"):
            ArrayDataset(IMAGES, None, classes)


def test_the_fingerprint_follows_the_content() -> None:
    original = ArrayDataset(IMAGES, LABELS, CLASSES).fingerprint()
    assert ArrayDataset(IMAGES.copy(), LABELS.astype(np.int16), CLASSES, "elsewhere").fingerprint() == original
    strided = np.repeat(IMAGES, 2, axis=2)[:, :, ::2]
    assert ArrayDataset(strided, LABELS, CLASSES).fingerprint() == original
    pixel, label = IMAGES.copy(), LABELS.copy()
    pixel[5, 3, 4, 2] ^= 1
    label[0] = 1
    changed = [
        ArrayDataset(pixel, LABELS, CLASSES),
        ArrayDataset(IMAGES, label, CLASSES),
        ArrayDataset(IMAGES, LABELS, ("cat", "do", "gowl")),
        ArrayDataset(IMAGES.reshape(6, 5, 4, 3), LABELS, CLASSES),
        ArrayDataset(IMAGES, LABELS, CLASSES, targets={"size": LABELS}),
        ArrayDataset(IMAGES, LABELS, CLASSES, targets={"age": LABELS}),
        ArrayDataset(IMAGES, LABELS, CLASSES, targets={"age": LABELS[::-1]}),
    ]
    assert len({original, *(data.fingerprint() for data in changed)}) == 8


def test_an_npz_file_is_a_split(tmp_path: Path) -> None:
    split = read_npz(write_npz(tmp_path / "data.npz")).split(Splitting(seed=0))
    assert (len(split.train), len(split.validation)) == (6, 3)
    assert split.train.classes == split.validation.classes == ("0", "1", "2")
    np.testing.assert_array_equal(split.validation.load(2), IMAGES[2])
    assert "6 training and 3 validation" in split.description


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels": None}, ["lacks", "train_labels", "it holds"]),
        ({"validation_labels": np.array([0, 1, 3])}, ["validation", "sample 2", "label 3"]),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -2])}, ["train", "sample 5", "label -2"]),
        ({"train_labels": np.array([0, 1, 2, 0, 10**12, 1])}, ["sample 4", str(10**12)]),
        ({"train_labels": np.zeros(6, int)}, ["validation", "sample 1"]),
        ({"train_labels": np.zeros(6, int), "validation_labels": np.zeros(3, int)}, ["one class"]),
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, ["no training images"]),
        ({"validation_images": IMAGES[:0], "validation_labels": LABELS[:0]}, ["no validation images"]),
    ],
)
def test_an_npz_file_with_faults_is_refused(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    path = write_npz(tmp_path / "data.npz", **changes)
    with pytest.raises(DataError) as refusal:
        read_npz(path).split(Splitting(seed=0))
    assert all(word in str(refusal.value) for word in [*words, "data.npz"])


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_npz(tmp_path / "data.npz", train_labels=np.array([Trap()] * 6, dtype=object))
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(DataError, match="not a readable"):
        read_npz(path)
    assert not (tmp_path / "sprung").exists()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    good = write_npz(tmp_path / "data.npz").read_bytes()
    lone = io.BytesIO()
    np.save(lone, IMAGES)
    not_arrays = io.BytesIO()
    with zipfile.ZipFile(not_arrays, "w") as archive:
        archive.writestr("train_images.npy", b"no array")
    flipped = bytearray(good)
    flipped[200] ^= 0xFF
    for content in (b"", b"text", good[: len(good) // 2], lone.getvalue(), not_arrays.getvalue(), bytes(flipped)):
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.npz"):
            read_npz(path)
