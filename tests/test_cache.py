"""Folders and files of the cache."""

from __future__ import annotations

import multiprocessing
import warnings
from pathlib import Path

import pytest

from gpunn.cache import CacheFiles, CacheWarning, cache_folder


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_CACHE", "/somewhere")
    assert cache_folder("emulator") == Path("/somewhere/emulator")
    monkeypatch.delenv("GPUNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder("cubins") == Path("/cache/gpunn/cubins")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder("tuning") == Path("/home/user/.cache/gpunn/tuning")


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
