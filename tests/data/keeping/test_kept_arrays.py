from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.cache import CacheFiles, CacheWarning
from gpunn.data.keeping.kept_arrays import keep, map_kept, read_kept

ARRAYS: dict[str, npt.NDArray[Any]] = {
    "bytes": np.frombuffer(b"seven b", np.uint8),
    "none": np.zeros(0, np.int64),
    "table": np.arange(-6, 6).reshape(4, 3),
    "transposed": np.arange(12.0).reshape(4, 3).T,
}


@pytest.fixture
def files(tmp_path: Path) -> CacheFiles:
    return CacheFiles(tmp_path / "cache")


def assert_whole(arrays: Any) -> None:
    assert set(arrays) == set(ARRAYS)
    for name, values in ARRAYS.items():
        assert arrays[name].dtype == values.dtype
        np.testing.assert_array_equal(arrays[name], values)


def test_what_is_kept_is_read_again(files: CacheFiles) -> None:
    written, read = keep(files, "some", ARRAYS), read_kept(files, "some")
    assert written is not None
    assert read is not None
    again = map_kept(read.path, read.digest)
    assert again is not None
    for kept in (written, read, again):
        assert_whole(kept.arrays)
        assert not any(values.flags.writeable for values in kept.arrays.values())
        assert kept.in_place()


def test_every_array_can_be_read_at_once_by_the_processor(files: CacheFiles) -> None:
    written = keep(files, "some", ARRAYS)
    assert written is not None
    assert all(values.flags.aligned for values in written.arrays.values())


def test_a_damaged_file_is_ignored(files: CacheFiles) -> None:
    keep(files, "some", ARRAYS)
    path = files.folder / "some"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert read_kept(files, "some") is None, position
    for length in (0, 1, 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert read_kept(files, "some") is None, length
    path.write_bytes(whole + b"\0")
    assert read_kept(files, "some") is None
    path.write_bytes(os.urandom(500))
    assert read_kept(files, "some") is None
    path.write_bytes(whole)
    assert read_kept(files, "some") is not None


def test_there_may_be_nothing(files: CacheFiles, tmp_path: Path) -> None:
    assert read_kept(files, "some") is None
    assert map_kept(tmp_path / "gone", bytes(32)) is None
    files.folder.mkdir()
    (files.folder / "folder").mkdir()
    assert read_kept(files, "folder") is None


def test_a_file_that_takes_the_place_of_another_is_noticed(files: CacheFiles) -> None:
    first = keep(files, "some", ARRAYS)
    assert first is not None
    keep(files, "some", {"other": np.arange(3)})
    assert not first.in_place()
    assert map_kept(first.path, first.digest) is None
    assert_whole(first.arrays)
    first.path.unlink()
    assert not first.in_place()
    assert_whole(first.arrays)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(CacheWarning, match="cannot be written"):
        assert keep(CacheFiles(tmp_path / "file"), "some", ARRAYS) is None
