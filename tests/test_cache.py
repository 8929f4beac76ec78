"""Folders and files of the cache."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import stat
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from gpunn.cache import CacheFiles, CacheWarning, cache_folder
from gpunn.errors import UsageError


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", "/somewhere")
    assert cache_folder("emulator") == Path("/somewhere/emulator")
    monkeypatch.delenv("GPUNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder("cubins") == Path("/cache/gpunn/cubins")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder("tuning") == Path("/home/user/.cache/gpunn/tuning")


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folder must be of a user whom nothing gives a home: no variable, and no entry among the users."""

    def getpwuid(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("GPUNN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"gpunn-{os.getuid()}"


def test_without_a_home_the_folder_is_a_temporary_one_of_the_users_own(homeless: Path) -> None:
    for room in ("data", "cubins"):
        assert cache_folder(room) == homeless / room
    assert stat.S_IMODE(homeless.stat().st_mode) == 0o700


def test_a_temporary_folder_that_others_can_write_is_refused(homeless: Path) -> None:
    homeless.mkdir()
    homeless.chmod(0o777)
    with pytest.raises(UsageError, match=f"'{homeless}' is not a folder of this user's alone; set GPUNN_CACHE"):
        cache_folder("data")
    homeless.rmdir()
    homeless.symlink_to(homeless.parent)
    with pytest.raises(UsageError, match="not a folder of this user's alone"):
        cache_folder("data")


def test_a_temporary_folder_that_cannot_be_made_is_told(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(homeless / "gone"))
    with pytest.raises(UsageError, match="No such file or directory; set GPUNN_CACHE"):
        cache_folder("data")


def test_files_that_nobody_used_for_long_are_removed(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path)
    for name in ("old", "used", "new"):
        files.write(name, b"content")
    (tmp_path / "folder").mkdir()
    ten_days_ago = time.time() - 10 * 24 * 3600
    for name in ("old", "used", "folder"):
        os.utime(tmp_path / name, (ten_days_ago, ten_days_ago))
    files.remove_unused(11)
    assert len(list(tmp_path.iterdir())) == 4
    files.mark_used("used")
    files.remove_unused(9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new", "used"]
    CacheFiles(tmp_path / "absent").remove_unused(9)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files = CacheFiles(tmp_path / "a" / "b")
    assert files.read("x") is None
    files.write("x", b"one")
    files.write("x", b"two")
    assert CacheFiles(tmp_path / "a" / "b").read("x") == b"two"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x"]


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = CacheFiles(tmp_path / "file" / "room")
    with pytest.warns(CacheWarning, match=r"cannot be written.*set GPUNN_CACHE"):
        files.write("x", b"one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files.write("y", b"two")
    assert files.read("x") is None


def test_a_name_that_is_taken_by_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.warns(CacheWarning):
        CacheFiles(tmp_path).write("x", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def write_often(folder: Path, byte: int) -> None:
    files = CacheFiles(folder)
    for _ in range(200):
        files.write("x", bytes([byte]) * 100_000)


def test_processes_at_once_leave_whole_files(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(tmp_path, byte)) for byte in (1, 2)]
    for writer in writers:
        writer.start()
    files = CacheFiles(tmp_path)
    while any(writer.is_alive() for writer in writers):
        content = files.read("x")
        assert content is None or (len(content) == 100_000 and len(set(content)) == 1)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
