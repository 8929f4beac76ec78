"""Packed files as sources: what they hold, and which files are refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from gpunn.data.adaptation import ChannelStatistics, adapt
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import DataWarning, Split
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.loading.loader import Loader
from gpunn.data.making.packing import Packing, pack
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.opening import open_data, open_for_measuring
from gpunn.data.sources.packed.dataset import PackedDataset, is_packed, read_packed
from gpunn.errors import DataError
from tests.data.pictures import random_picture, write_tree

CLASSES = ("cat", "dög\udcff", "owl")


def arrays(count: int, seed: int, shape: tuple[int, int, int] = (9, 7, 3)) -> ArrayDataset:
    images = np.stack([random_picture(seed + number, *shape) for number in range(count)])
    return ArrayDataset(images, np.arange(count) % 3, CLASSES)


def write(path: Path, train: int = 6, seed: int = 0, augmentation: Augmentation | None = None) -> Path:
    split = Split(arrays(train, seed), arrays(4, seed + 50), "arrays", augmentation)
    pack(split, path, Packing(PillowDecoder(), 1, replace=True))
    return path


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return write(tmp_path / "x.safetensors")


def half(path: Path, train: bool = True) -> PackedDataset:
    dataset = read_packed(path).train if train else read_packed(path).validation
    assert isinstance(dataset, PackedDataset)
    return dataset


def test_both_halves_are_as_they_were_packed(packed: Path) -> None:
    split = read_packed(packed)
    assert (split.resized, split.augmentation) == (False, None)
    assert "6 training and 4 validation images of 3 classes, packed at 9x7" in split.description
    for dataset, count, seed in ((split.train, 6, 0), (split.validation, 4, 50)):
        assert (len(dataset), dataset.classes, dataset.picture_shape) == (count, CLASSES, (9, 7, 3))
        assert dataset.labels.tolist() == [number % 3 for number in range(count)]
        for number in range(count):
            np.testing.assert_array_equal(dataset.load(number), random_picture(seed + number, 9, 7))
    assert split.train.name(2) == f"train image 2 of '{packed}', made from 'train/2'"


def test_pixels_are_views_that_cannot_be_written(packed: Path) -> None:
    dataset = half(packed)
    assert np.shares_memory(dataset.load(1), dataset.load(1))
    with pytest.raises(ValueError, match="read-only"):
        dataset.load(0)[0, 0, 0] = 1


def test_a_data_set_travels_to_another_process_as_a_path(packed: Path) -> None:
    sent = pickle.dumps(half(packed, train=False))
    assert len(sent) < 500
    np.testing.assert_array_equal(pickle.loads(sent).load(3), random_picture(53, 9, 7))
    write(packed, seed=1)
    with pytest.raises(DataError, match="replaced while it was in use"):
        pickle.loads(sent)


def test_equal_data_have_equal_fingerprints(tmp_path: Path) -> None:
    first, copy, other = write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", seed=1)
    assert half(first).fingerprint() == half(copy).fingerprint()
    different = {half(first).fingerprint(), half(other).fingerprint(), half(first, train=False).fingerprint()}
    assert len(different) == 3


def test_one_changed_pixel_is_found_by_verifying_it(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    place = content.index(random_picture(4, 9, 7).tobytes())
    content[place + 30] ^= 1
    packed.write_bytes(content)
    dataset = half(packed)
    assert [dataset.verify(number) for number in range(6)] == [True, True, True, True, False, True]


@pytest.mark.parametrize("name", ["x.safetensors", "x.packed"])
def test_a_packed_file_is_recognised_by_name_or_beginning(tmp_path: Path, name: str) -> None:
    assert is_packed(write(tmp_path / name))
    (tmp_path / "other").write_bytes(b"not one")
    assert not is_packed(tmp_path / "other")
    assert not is_packed(tmp_path)
    assert not is_packed(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (Augmentation.for_photographs(), Augmentation(mirror=0.5, crop_window=True)),
        (Augmentation.for_digits(), Augmentation.for_digits()),
        (
            Augmentation(lighting=0.1, colour_axes=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))),
            Augmentation(lighting=0.1, colour_axes=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))),
        ),
        (None, None),
    ],
)
def test_random_crops_become_windows_and_other_augmentation_stays(
    tmp_path: Path, stored: Augmentation | None, found: Augmentation | None
) -> None:
    assert read_packed(write(tmp_path / "x", augmentation=stored)).augmentation == found


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the header and leaves the rest."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode().ljust(length)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def set_metadata(name: str, text: str) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["__metadata__"].update({name: text})


def set_entry(name: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda header: header[name].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_metadata("format", "theirs"), "another program wrote it"),
        (lambda header: header.pop("__metadata__"), "another program wrote it"),
        (set_metadata("version", "2"), "version '2' of the format and this gpunn reads '1'"),
        (lambda header: header["__metadata__"].update(note=3), "metadata are not text"),
        (set_metadata("classes", "cat"), "list of classes is damaged"),
        (set_metadata("classes", '["cat", 3]'), "list of classes is damaged"),
        (set_metadata("classes", '["cat", "owl", "dog"]'), "do not match their SHA-256"),
        (set_metadata("sha256", "0" * 64), "do not match their SHA-256"),
        (set_entry("train.images", shape=[10**18, 9, 7, 3]), "tensor 'train.images' is not as"),
        (set_entry("train.images", shape=[6, 9, 7, 3.0]), "tensor 'train.images' is not as"),
        (set_entry("train.images", shape=[True] * 4), "tensor 'train.images' is not as"),
        (set_entry("train.images", data_offsets=[-189, 945]), "tensor 'train.images' is not as"),
        (set_entry("train.images", dtype="F64"), "tensor 'train.images' is not as"),
        (set_entry("train.images", shape=[1134]), "no tensor train.images of uint8"),
        (set_entry("train.images", shape=[6, 9, 21, 1]), "do not match their SHA-256"),
        (set_entry("train.images", shape=[3, 9, 7, 6]), "no tensor train.images of uint8"),
        (set_entry("train.images", shape=[0, 9, 0, 3], data_offsets=[0, 0]), "no tensor train.images of uint8"),
        (set_entry("train.labels", shape=[3, 2]), "no tensor train.labels of int32"),
        (lambda header: header.pop("validation.digests"), "header describes"),
        (lambda header: header.pop("train.labels"), "no tensor train.labels of int32"),
        (set_entry("validation.digests", shape=[5, 16], data_offsets=[0, 80]), "header describes"),
        (set_entry("train.labels", data_offsets=[10**12, 10**12 + 24]), "header describes 1000000"),
    ],
)
def test_a_header_that_is_not_that_of_packed_images_is_refused(
    packed: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    edit(packed, change)
    with pytest.raises(DataError, match=rf"'.*x\.safetensors': .*(?:{words})"):
        read_packed(packed)


def test_labels_outside_the_classes_are_refused(packed: Path) -> None:
    """Whoever edits a file can give it a hash that fits."""
    dataset = ArrayDataset(np.zeros((3, 4, 4, 1), np.uint8), [0, 1, 2], CLASSES)
    wrong = dataset.labels.copy()
    wrong[1] = 7
    dataset._labels = wrong
    pack(Split(dataset, arrays(3, 0, (4, 4, 1)), "arrays"), packed, Packing(PillowDecoder(), 1, replace=True))
    with pytest.raises(DataError, match="sample 1 has label 7"):
        read_packed(packed)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes are too short"),
        (b"\x10\x00\x00", "3 bytes are too short"),
        (b"PK\x03\x04 a zip archive", "does not begin as packed images do"),
        (b"\xff" * 8 + b"{}", "does not begin as packed images do"),
        ((1000).to_bytes(8, "little") + b"{}", "cut off within its header"),
        ((4).to_bytes(8, "little") + b"nope", "header is not JSON"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "header is not JSON"),
        ((4).to_bytes(8, "little") + b"[{}]", "another program wrote it"),
        ((2).to_bytes(8, "little") + b"{}", "another program wrote it"),
    ],
)
def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=rf"'.*x\.safetensors': .*{words}"):
        read_packed(tmp_path / "x.safetensors")


def test_every_truncation_is_refused(packed: Path) -> None:
    size = packed.stat().st_size
    for length in (size - 1, size - 64, size // 2, 5000, 4096, 4000, 100, 8, 7):
        os.truncate(packed, length)
        with pytest.raises(DataError, match=r"truncated|cut off|too short"):
            read_packed(packed)


def test_what_is_longer_than_its_header_says_is_refused(packed: Path) -> None:
    with packed.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(DataError, match="truncated or damaged"):
        read_packed(packed)


def test_other_safetensors_files_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "weights.safetensors")
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("weights.safetensors", "another program wrote it"),
        ("pipe", "not a regular file"),
        ("nowhere", "No such file"),
    ):
        with pytest.raises(DataError, match=words):
            read_packed(tmp_path / name)


def test_an_augmentation_of_another_version_is_passed_over_with_a_warning(packed: Path) -> None:
    edit(packed, set_metadata("augmentation", '{"sparkle": 3}'))
    with pytest.warns(DataWarning, match="sparkle"):
        assert read_packed(packed).augmentation is None


def test_a_packed_file_is_opened_for_training_and_for_measuring_like_any_other(tmp_path: Path) -> None:
    packed = write(tmp_path / "x")
    assert len(open_data(str(packed), seed=0).train) == 6
    assert len(open_for_measuring(str(packed))) == 4


@pytest.mark.parametrize(("size", "resized"), [(None, False), ((9, 7), False), ((8, 8), True)])
def test_a_packed_file_tells_whether_its_pictures_had_another_size(
    tmp_path: Path, size: tuple[int, int] | None, resized: bool
) -> None:
    packing = Packing(PillowDecoder(), 1, size)
    pack(Split(arrays(6, 0), arrays(4, 50), "arrays"), tmp_path / "arrays.safetensors", packing)
    assert read_packed(tmp_path / "arrays.safetensors").resized == resized
    if size is None:
        tree = write_tree(tmp_path / "tree", {"ant": 4, "bee": 4})
        pack(open_data(str(tree), seed=0), tmp_path / "tree.safetensors", packing)
        assert read_packed(tmp_path / "tree.safetensors").resized


def windows(picture: np.ndarray, height: int, width: int) -> list[bytes]:
    tops, lefts = range(picture.shape[0] - height + 1), range(picture.shape[1] - width + 1)
    return [picture[top : top + height, left : left + width].tobytes() for top in tops for left in lefts]


def test_training_sees_all_windows_of_the_stored_pixels_and_evaluation_the_centre(tmp_path: Path) -> None:
    split = read_packed(write(tmp_path / "x", augmentation=Augmentation.for_photographs()))
    statistics = ChannelStatistics((0.5,) * 3, (0.5,) * 3)
    preprocessing = adapt(split.train.picture_shape, (7, 6, 3), statistics, resized=True).preprocessing
    training = Loader(
        split.train, preprocessing, batch_size=4, seed=0, augmentation=split.augmentation, shuffle=True, workers=2
    )
    seen: set[tuple[int, bytes]] = set()
    for epoch in range(60):
        for batch in training.batches(epoch):
            seen |= {(int(index), image.tobytes()) for index, image in zip(batch.indices, batch.images, strict=True)}
    assert seen == {(index, window) for index in range(6) for window in windows(random_picture(index, 9, 7), 7, 6)}
    (batch,) = Loader(split.validation, preprocessing, batch_size=4, seed=0).batches(0)
    for number, image in enumerate(batch.images):
        np.testing.assert_array_equal(image, random_picture(50 + number, 9, 7)[1:8, 0:6])
