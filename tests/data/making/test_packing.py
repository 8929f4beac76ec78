"""Packing, against the safetensors library as reader and Pillow as the one who resizes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Split
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.making import whole_file
from gpunn.data.making.packing import Packed, Packing, pack
from gpunn.data.selection import select
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.packed.file import PackedFile
from gpunn.data.sources.tree.dataset import read_folder
from gpunn.errors import DataError, UsageError
from tests.data.pictures import random_picture, write_tree

COUNTS = {"train": {"cat": 3, "dog": 2}, "val": {"cat": 1, "dog": 2}}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for seed, (half, counts) in enumerate(COUNTS.items()):
        write_tree(root / half, counts, first_seed=100 * seed)
    return root


def packing(**changes: Any) -> Packing:
    return Packing(**{"decoder": PillowDecoder(), "workers": 2, "size": (10, 10), **changes})


def pack_tree(tree: Path, destination: Path, **changes: Any) -> Packed:
    return pack(read_folder(tree, Splitting(seed=0)), destination, packing(**changes))


def arrays(count: int, seed: int, height: int = 5, width: int = 7, channels: int = 1) -> ArrayDataset:
    images = np.stack([random_picture(seed + number, height, width, channels) for number in range(count)])
    return ArrayDataset(images, np.arange(count) % 2, ("even", "odd"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_any_reader_of_safetensors_finds_images_labels_and_digests(tree: Path, tmp_path: Path) -> None:
    packed = pack_tree(tree, tmp_path / "packed.safetensors")
    assert (packed.counts, packed.picture, packed.unreadable) == ((5, 3), (10, 10, 3), ())
    assert packed.bytes == (tmp_path / "packed.safetensors").stat().st_size
    with safe_open(tmp_path / "packed.safetensors", framework="numpy") as file:
        metadata = file.metadata()
        assert json.loads(metadata["classes"]) == ["cat", "dog"]
        for half, counts in COUNTS.items():
            name = "validation" if half == "val" else half
            images, labels, digests = (file.get_tensor(f"{name}.{what}") for what in ("images", "labels", "digests"))
            assert images.dtype == np.uint8
            assert labels.dtype == np.int32
            assert labels.tolist() == [0] * counts["cat"] + [1] * counts["dog"]
            assert [bytes(digest) for digest in digests] == [
                hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images
            ]
            paths = [tree / half / label / f"{number}.jpg" for label in counts for number in range(counts[label])]
            for path, image in zip(paths, images, strict=True):
                np.testing.assert_array_equal(image, shrunk(path, 10))


def keys(path: Path, half: str) -> list[bytes]:
    with safe_open(path, framework="numpy") as file:
        *found, rest = file.get_tensor(f"{half}.keys").tobytes().split(b"\0")
    assert rest == b""
    return found


def test_each_image_keeps_what_its_source_is_called(tree: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tree / "val" / "dog") + b"/odd\xff\n.jpg"
    os.rename(tree / "val" / "dog" / "1.jpg", odd)
    (tree / "train" / "cat" / "1.jpg").write_bytes(b"no picture")
    packed = tmp_path / "x.safetensors"
    pack_tree(tree, packed, skip_unreadable=True)
    assert keys(packed, "train") == [b"train/cat/0.jpg", b"train/cat/2.jpg", b"train/dog/0.jpg", b"train/dog/1.jpg"]
    assert keys(packed, "validation") == [b"val/cat/0.jpg", b"val/dog/0.jpg", b"val/dog/odd\xff\n.jpg"]


def test_images_of_arrays_are_called_by_their_places(tmp_path: Path) -> None:
    whole = arrays(6, 0)
    split = Split(select(whole, np.array([0, 1, 4, 5])), select(whole, np.array([3, 2])), "arrays")
    pack(split, tmp_path / "x.safetensors", packing())
    assert keys(tmp_path / "x.safetensors", "train") == [b"train/0", b"train/1", b"train/4", b"train/5"]
    assert keys(tmp_path / "x.safetensors", "validation") == [b"validation/3", b"validation/2"]


def test_a_zero_byte_in_a_name_does_not_end_it(tmp_path: Path) -> None:
    class Keyed(ArrayDataset):
        def key(self, index: int) -> str:
            return f"0.tar/{index}\0.jpg"

    data = Keyed(np.stack([random_picture(seed, 5, 7) for seed in range(2)]), [0, 1], ("even", "odd"))
    pack(Split(data, data, "keyed"), tmp_path / "x.safetensors", packing())
    assert keys(tmp_path / "x.safetensors", "train") == [b"0.tar/0\\0.jpg", b"0.tar/1\\0.jpg"]
    assert PackedFile(tmp_path / "x.safetensors").key("train", 1) == "0.tar/1\\0.jpg"


def shrunk(path: Path, size: int) -> np.ndarray:
    """The shorter side brought to `size`, and the centre; a JPEG of twice that size would be decoded smaller."""
    image = Image.open(path)
    short = min(image.size)
    left, top = (image.width - short) / 2, (image.height - short) / 2
    box = (left, top, left + short, top + short)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def test_a_size_of_other_proportions_covers_them(tmp_path: Path) -> None:
    picture = random_picture(1, 20, 20)
    data = ArrayDataset(np.stack([picture, picture]), [0, 1], ("a", "b"))
    pack(Split(data, data, "squares"), tmp_path / "x.safetensors", packing(size=(5, 10)))
    with safe_open(tmp_path / "x.safetensors", framework="numpy") as file:
        expected = Image.fromarray(picture).resize((10, 5), Image.Resampling.BILINEAR, (0, 5, 20, 15))
        np.testing.assert_array_equal(file.get_tensor("train.images")[0], np.asarray(expected))


def test_arrays_keep_their_size_channels_and_pixels(tmp_path: Path) -> None:
    split = Split(arrays(4, 0), arrays(2, 50), "arrays", Augmentation.for_digits())
    assert pack(split, tmp_path / "x.safetensors", packing(size=None)).picture == (5, 7, 1)
    with safe_open(tmp_path / "x.safetensors", framework="numpy") as file:
        expected = np.stack([random_picture(50 + number, 5, 7, 1) for number in range(2)])
        np.testing.assert_array_equal(file.get_tensor("validation.images"), expected)


def test_pictures_of_several_sizes_become_256_by_default(tree: Path, tmp_path: Path) -> None:
    assert pack_tree(tree, tmp_path / "x.safetensors", size=None).picture == (256, 256, 3)


def test_images_begin_at_pages(tree: Path, tmp_path: Path) -> None:
    pack_tree(tree, tmp_path / "x.safetensors")
    content = (tmp_path / "x.safetensors").read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:length])
    for half in ("train", "validation"):
        assert (length + header[f"{half}.images"]["data_offsets"][0]) % 4096 == 0


def test_the_file_does_not_depend_on_the_number_of_workers(tree: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        pack_tree(tree, tmp_path / f"{workers}", workers=workers)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


def test_progress_counts_every_image(tree: Path, tmp_path: Path) -> None:
    done: list[int] = []
    pack(read_folder(tree, Splitting(seed=0)), tmp_path / "x", packing(), lambda: done.append(1))
    assert len(done) == 8


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def test_the_first_unreadable_image_is_named_and_nothing_stays(tree: Path, tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        spoil(tree / "train" / "cat" / name)
    with pytest.raises(DataError, match=r"cat/1\.jpg'.*--unreadable skip"):
        pack_tree(tree, tmp_path / "x")
    assert files(tmp_path) == ["tree"]


def test_unreadable_images_are_left_out_and_listed(tree: Path, tmp_path: Path) -> None:
    spoil(tree / "train" / "cat" / "1.jpg")
    spoil(tree / "val" / "dog" / "0.jpg")
    packed = pack_tree(tree, tmp_path / "x", skip_unreadable=True)
    assert packed.counts == (4, 2)
    assert ["cat/1.jpg" in packed.unreadable[0], "dog/0.jpg" in packed.unreadable[1]] == [True, True]
    with safe_open(tmp_path / "x", framework="numpy") as file:
        assert file.get_tensor("train.labels").tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(file.get_tensor("train.images")[1], shrunk(tree / "train" / "cat" / "2.jpg", 10))
        assert file.get_tensor("validation.images").shape == (2, 10, 10, 3)


def test_a_half_of_which_nothing_can_be_read_is_refused(tree: Path, tmp_path: Path) -> None:
    for path in (tree / "val").glob("*/*.jpg"):
        spoil(path)
    with pytest.raises(DataError, match="none of 3 images can be read"):
        pack_tree(tree, tmp_path / "x", skip_unreadable=True)
    assert files(tmp_path) == ["tree"]


def test_pictures_with_other_targets_are_refused(tmp_path: Path) -> None:
    data = ArrayDataset(np.zeros((2, 4, 4, 1), np.uint8), targets={"angle": np.zeros(2)})
    with pytest.raises(DataError, match="only pictures with labels"):
        pack(Split(data, data, "angles"), tmp_path / "x", packing())


def test_a_file_that_is_there_is_replaced_only_if_asked(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"'.*x' is there already.*--force"):
        pack_tree(tree, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"mine"
    pack_tree(tree, tmp_path / "x", replace=True)
    assert (tmp_path / "x").stat().st_size > 4096
    with pytest.raises(UsageError, match="is a folder"):
        pack_tree(tree, tree, replace=True)


def test_room_is_asked_for_before_anything_is_decoded(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.statvfs(tmp_path)
    little = os.statvfs_result((*status[:4], 1, *status[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: little)
    spoil(tree / "train" / "cat" / "0.jpg")
    with pytest.raises(UsageError, match=r"needs .* GB and its disk has 0\.0 GB free"):
        pack_tree(tree, tmp_path / "x")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "No space left.*free some space"), (errno.EROFS, "Read-only.*writable")]
)
def test_a_disk_that_refuses_is_told_and_the_old_file_stays(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    write = os.write

    def full(descriptor: int, piece: memoryview) -> int:
        if os.lseek(descriptor, 0, os.SEEK_CUR) > 4200:
            raise OSError(code, os.strerror(code))
        return write(descriptor, piece)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError, match=words):
        pack_tree(tree, tmp_path / "x", replace=True)
    monkeypatch.undo()
    assert files(tmp_path) == ["tree", "x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_told(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its folder is not there"):
        pack_tree(tree, tmp_path / "nowhere" / "x")


def test_leftovers_of_killed_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    for name in (".x.1234.tmp", ".x.5678.tmp", ".xy.1234.tmp"):
        (tmp_path / name).write_bytes(b"half")
    with (tmp_path / ".x.5678.tmp").open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        with whole_file.whole_file(tmp_path / "x", 1, replace=False) as descriptor:
            os.write(descriptor, b"whole")
    assert files(tmp_path) == [".x.5678.tmp", ".xy.1234.tmp", "x"]


def test_a_header_that_nobody_would_read_is_not_written(tmp_path: Path) -> None:
    data = ArrayDataset(np.zeros((2, 1, 1, 1), np.uint8), [0, 1], ("a" * (20 << 20), "b" * (14 << 20)))
    with pytest.raises(DataError, match="shorten the names"):
        pack(Split(data, data, "names"), tmp_path / "x", packing())
    assert files(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"size": (0, 4)}])
def test_packing_with_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        packing(**wrong)


def test_a_kill_at_any_system_call_leaves_no_file_the_old_or_the_new_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.making.kill_while_packing", str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    *attempts, names = map(json.loads, done.stdout.splitlines())
    assert names == ["x"], "the next writer removes what killed ones left"
    assert sum(attempt["killed"] for attempt in attempts) > 20
    for attempt in attempts:
        assert attempt["found"] in ((attempt["old"], 2) if attempt["killed"] else (2,))
    assert {attempt["found"] for attempt in attempts if attempt["killed"]} == {None, 1, 2}
