from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.keeping import file_state, source_cache
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.opening import open_data, open_for_measuring
from gpunn.errors import DataError
from tests.data.sources.array_files import IMAGES, LABELS, Trap, both_halves


def write(folder: Path, **changes: Any) -> Path:
    for name, array in both_halves(**changes).items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_a_folder_of_npy_files_is_a_data_set(tmp_path: Path) -> None:
    split = open_data(str(write(tmp_path)), seed=0)
    assert (len(split.train), split.train.picture_shape, split.train.classes) == (6, (4, 5, 3), ("0", "1", "2"))
    np.testing.assert_array_equal(split.train.load(4), IMAGES[4])
    assert split.train.fingerprint() == ArrayDataset(IMAGES, LABELS, ("0", "1", "2")).fingerprint()
    assert open_for_measuring(str(tmp_path)).labels.tolist() == [0, 2, 1]
    assert split.train.name(3) == f"image 3 of '{tmp_path}/train_images.npy'"


def test_images_stay_on_the_disk(tmp_path: Path) -> None:
    data = open_data(str(write(tmp_path)), seed=0).train
    picture = data.load(0)
    assert not picture.flags.writeable
    with (tmp_path / "train_images.npy").open("r+b") as stream:
        stream.seek(-IMAGES.nbytes, 2)
        stream.write(bytes([IMAGES[0, 0, 0, 0] ^ 255]))
    assert picture[0, 0, 0] == IMAGES[0, 0, 0, 0] ^ 255


def test_another_process_gets_the_path_and_no_pixels(tmp_path: Path) -> None:
    images = np.zeros((6, 300, 300), np.uint8)
    data = open_data(str(write(tmp_path, train_images=images, validation_images=images[:3])), seed=0).train
    sent = pickle.dumps(data)
    assert len(sent) < 2000
    copy = pickle.loads(sent)
    assert copy.fingerprint() == data.fingerprint()


def test_the_fingerprint_is_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(source_cache, "WORTH_KEEPING", 1)
    monkeypatch.setattr(file_state, "SETTLING_NANOSECONDS", -(10**12))
    folder = tmp_path / "set"
    folder.mkdir()
    reads: list[ArrayDataset] = []
    whole = ArrayDataset.fingerprint
    monkeypatch.setattr(ArrayDataset, "fingerprint", lambda data: reads.append(data) or whole(data))

    def fingerprint(**changes: Any) -> str:
        return open_data(str(write(folder, **changes) if changes else folder), seed=0).train.fingerprint()

    write(folder)
    assert fingerprint() == fingerprint() == whole(ArrayDataset(IMAGES, LABELS, ("0", "1", "2")))
    assert len(reads) == 1
    other = IMAGES.copy()
    other[5, 3, 4, 2] ^= 1
    assert len({fingerprint(), fingerprint(train_images=other), fingerprint(train_labels=LABELS[::-1].copy())}) == 3
    assert len(reads) == 3
    data = open_data(str(folder), seed=0).train
    (folder / "train_images.npy").unlink()
    with pytest.raises(DataError, match=r"train_images\.npy': No such file"):
        data.fingerprint()


def test_without_validation_files_the_seed_divides(tmp_path: Path) -> None:
    folder = write(tmp_path, validation_images=None, validation_labels=None)
    assert len(open_data(str(folder), seed=0, validation_fraction=0.5).validation) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels": None}, ["train_labels.npy' is missing"]),
        ({"train_labels": LABELS[:5]}, ["train_images.npy", "6 images need labels"]),
        ({"validation_labels": np.array([0, 1, 3])}, ["validation", "sample 2", "label 3"]),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -2])}, ["train", "sample 5", "label -2"]),
        ({"train_labels": np.array([0, 1, 2, 0.5, 1, 2])}, ["integers", "sample 3", "0.5"]),
        ({"train_labels": np.zeros(6, int), "validation_labels": np.zeros(3, int)}, ["one class"]),
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0], "validation_labels": None}, ["validation_labels"]),
        ({"validation_images": IMAGES[:0], "validation_labels": LABELS[:0]}, ["no validation images"]),
        ({"train_images": IMAGES.astype(np.float32)}, ["float32", "uint8"]),
        ({"train_images": IMAGES[..., :2]}, ["1 or 3 channels"]),
    ],
)
def test_faults_are_refused_by_name(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(DataError) as refusal:
        open_data(str(write(tmp_path, **changes)), seed=0)
    assert all(word in str(refusal.value) for word in words)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, train_labels=np.array([Trap()] * 6, dtype=object))
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"train_labels\.npy' is not a readable"):
        open_data(str(tmp_path), seed=0)
    assert not (tmp_path / "sprung").exists()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path) / "train_images.npy"
    good = path.read_bytes()
    np.savez(tmp_path / "several.npz", IMAGES)
    huge = good.replace(b"(6, 4, 5, 3)", b"(6, 4, 5,%d)" % 10**15)
    for content in (b"", b"text", good[:50], good[:-1], (tmp_path / "several.npz").read_bytes(), huge):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train_images\.npy"):
            open_data(str(tmp_path), seed=0)
