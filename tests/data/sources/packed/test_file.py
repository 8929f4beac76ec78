"""The keys in a packed file, and files that have none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.making.packing import Packing, pack
from gpunn.data.sources.halves import Splitting
from gpunn.data.sources.packed.dataset import read_packed
from gpunn.data.sources.packed.file import PackedFile
from gpunn.data.sources.packed.header import HALVES, HalfContent, content_digest
from gpunn.data.sources.tree.dataset import read_folder
from gpunn.errors import DataError
from tests.data.pictures import write_tree


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Two images to train on and two to measure on."""
    for half in ("train", "val"):
        write_tree(tmp_path / "tree" / half, {"ant": 1, "bee": 1})
    os.rename(os.fsencode(tmp_path) + b"/tree/val/bee/0.jpg", os.fsencode(tmp_path) + b"/tree/val/bee/\xff.jpg")
    path = tmp_path / "x.safetensors"
    pack(read_folder(tmp_path / "tree", Splitting(seed=0)), path, Packing(PillowDecoder(), 1, size=(4, 4)))
    return path


def repack(path: Path, train_keys: bytes | None) -> None:
    """Writes the file again with other keys, or none as files of before had it, and a digest that fits."""
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    if train_keys is None:
        tensors = {name: values for name, values in tensors.items() if not name.endswith(".keys")}
    else:
        tensors["train.keys"] = np.frombuffer(train_keys, np.uint8)
    contents = [
        HalfContent(
            tensors[f"{half}.images"].shape,
            *(tensors[f"{half}.{what}"].tobytes() for what in ("labels", "digests")),
            tensors[f"{half}.keys"].tobytes() if train_keys is not None else b"",
        )
        for half in HALVES
    ]
    save_file(tensors, path, metadata={**metadata, "sha256": content_digest(("ant", "bee"), contents)})


def test_keys_are_those_of_the_source(packed: Path) -> None:
    file = PackedFile(packed)
    assert [file.key("train", index) for index in range(2)] == ["train/ant/0.jpg", "train/bee/0.jpg"]
    assert [file.key("validation", index) for index in range(2)] == ["val/ant/0.jpg", "val/bee/\udcff.jpg"]


def test_a_file_without_keys_is_read(packed: Path) -> None:
    with_keys = read_packed(packed).train.fingerprint()
    repack(packed, None)
    assert PackedFile(packed).key("train", 0) is None
    assert read_packed(packed).train.fingerprint() == with_keys


def test_a_changed_key_is_noticed(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes().replace(b"train/bee/0.jpg", b"train/ant/9.jpg"))
    with pytest.raises(DataError, match="keys do not match their SHA-256"):
        PackedFile(packed)


@pytest.mark.parametrize("keys", [b"train/ant/0.jpg\0", b"a\0b\0c\0", b"a"])
def test_another_number_of_keys_is_refused(packed: Path, keys: bytes) -> None:
    """Whoever edits a file can give it a hash that fits."""
    repack(packed, keys)
    with pytest.raises(DataError, match=r"train\.keys does not hold one key for each image"):
        PackedFile(packed)
