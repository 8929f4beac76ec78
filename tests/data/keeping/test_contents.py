from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.cache import CacheFiles, cache_folder
from gpunn.data.keeping.byte_strings import ByteStrings
from gpunn.data.keeping.contents import file_digests
from gpunn.data.keeping.file_state import SETTLING_NANOSECONDS
from gpunn.data.keeping.in_threads import PART
from gpunn.data.keeping.source_cache import SourceCache
from gpunn.errors import DataError
from tests.data.keeping.clock import tick

SIZES = (0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 30_000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number, size in enumerate(SIZES):
        content = np.random.default_rng(number).integers(0, 256, size, np.uint8).tobytes()
        (tmp_path / f"{number}.jpg").write_bytes(content)
    tick()
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened."""
    names: list[str] = []
    system = os.open

    def noted(path: bytes, flags: int) -> int:
        names.append(os.fsdecode(os.path.basename(path)))
        return system(path, flags)

    monkeypatch.setattr("gpunn.data.keeping.contents.os.open", noted)
    return names


def digests(tree: Path) -> npt.NDArray[np.uint8]:
    root = os.fsencode(tree)
    paths = ByteStrings.of(sorted(os.listdir(root)))
    return file_digests(root, paths, SourceCache(root, CacheFiles(cache_folder("data"))))


def expected(tree: Path) -> list[list[int]]:
    """From whole files, by the definition."""
    found = []
    for path in sorted(tree.iterdir(), key=os.fsencode):
        content = path.read_bytes()
        ends = len(content).to_bytes(8, "little") + content[:4096] + content[-4096:]
        found.append(list(blake2b(ends, digest_size=16).digest()))
    return found


def overwrite(tree: Path) -> list[str]:
    """In place and with the same size; the date of a copy that keeps dates is the old one."""
    path = tree / "4.jpg"
    times = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"other")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return ["4.jpg"]


def replace(tree: Path) -> list[str]:
    (tree / "new").write_bytes(b"x" * SIZES[3])
    (tree / "new").replace(tree / "3.jpg")
    return ["3.jpg"]


def add(tree: Path) -> list[str]:
    (tree / "25.jpg").write_bytes(b"more")
    return ["25.jpg"]


def remove(tree: Path) -> list[str]:
    (tree / "1.jpg").unlink()
    return []


def lengthen(tree: Path) -> list[str]:
    with (tree / "0.jpg").open("ab") as stream:
        stream.write(b"\0")
    return ["0.jpg"]


def swap(tree: Path) -> list[str]:
    (tree / "2.jpg").rename(tree / "aside")
    (tree / "5.jpg").rename(tree / "2.jpg")
    (tree / "aside").rename(tree / "5.jpg")
    # Renaming touches the inode on most file systems.
    return ["2.jpg", "5.jpg"]


def nothing(tree: Path) -> list[str]:
    return []


def test_a_digest_is_of_the_size_and_both_ends(tree: Path) -> None:
    assert digests(tree).tolist() == expected(tree)
    assert file_digests(os.fsencode(tree), ByteStrings.of([]), None).shape == (0, 16)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("change", [nothing, overwrite, replace, add, remove, lengthen, swap])
def test_only_what_changed_is_read_again(tree: Path, opened: list[str], change: Callable[[Path], list[str]]) -> None:
    digests(tree)
    assert len(opened) == len(SIZES)
    opened.clear()
    changed = change(tree)
    assert digests(tree).tolist() == expected(tree)
    assert set(opened) <= set(changed)
    opened.clear()
    assert digests(tree).tolist() == expected(tree)
    assert opened == []


@pytest.mark.usefixtures("kept")
def test_a_tree_that_is_emptied_and_filled_again(tree: Path) -> None:
    digests(tree)
    for path in tree.iterdir():
        path.unlink()
    assert digests(tree).shape == (0, 16)
    (tree / "new.jpg").write_bytes(b"new")
    assert digests(tree).tolist() == expected(tree)


@pytest.mark.usefixtures("kept")
def test_many_files_are_told_apart(tmp_path: Path, opened: list[str]) -> None:
    for number in range(PART + 10):
        (tmp_path / f"{number}.jpg").write_bytes(b"%d" % number)
    first = digests(tmp_path)
    assert len({digest.tobytes() for digest in first}) == PART + 10
    (tmp_path / "77.jpg").write_bytes(b"changed")
    opened.clear()
    assert digests(tmp_path).tolist() == expected(tmp_path)
    assert opened == ["77.jpg"]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_change_that_the_clock_is_too_coarse_to_show(
    tree: Path, monkeypatch: pytest.MonkeyPatch, is_fresh: bool
) -> None:
    """As on a file system whose times go in long steps: a change soon after the first look leaves no trace."""
    monkeypatch.setattr("gpunn.data.keeping.contents._stamp", lambda status: hash((status.st_ino, status.st_size)))
    if is_fresh:
        monkeypatch.setattr("gpunn.data.keeping.file_state.time_ns", time.time_ns)
    digests(tree)
    overwrite(tree)
    assert (digests(tree).tolist() == expected(tree)) == is_fresh


@pytest.mark.usefixtures("kept")
def test_fresh_files_are_read_again_and_others_are_not(
    tree: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.time_ns()
    tick()
    for name in ("0.jpg", "35.jpg", "8.jpg"):
        (tree / name).write_bytes(name.encode())
    monkeypatch.setattr("gpunn.data.keeping.file_state.time_ns", lambda: before + SETTLING_NANOSECONDS)
    digests(tree)
    opened.clear()
    assert digests(tree).tolist() == expected(tree)
    assert sorted(opened) == ["0.jpg", "35.jpg", "8.jpg"]


@pytest.mark.usefixtures("kept")
def test_links_are_known_by_what_they_lead_to(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "1.jpg"
    target.write_bytes(b"one")
    (tree / "a.jpg").symlink_to(target)
    digests(tree)
    tick()
    target.write_bytes(b"two")
    assert digests(tree).tolist() == expected(tree)


def test_few_files_are_not_kept(tree: Path, kept: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpunn.data.keeping.source_cache.WORTH_KEEPING", len(SIZES) + 1)
        digests(tree)
        assert not kept.exists()
        patch.setattr("gpunn.data.keeping.source_cache.WORTH_KEEPING", len(SIZES))
        digests(tree)
        assert len(list(kept.iterdir())) == 1


def test_a_damaged_cache_is_ignored(tree: Path, kept: Path) -> None:
    digests(tree)
    (file,) = kept.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-200] + bytes(byte ^ 1 for byte in content[-200:]))
    assert digests(tree).tolist() == expected(tree)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("visits", [0, 1])
def test_a_file_that_is_gone_is_named(tree: Path, visits: int) -> None:
    root = os.fsencode(tree)
    paths = ByteStrings.of(sorted(os.listdir(root)))
    for _ in range(visits):
        digests(tree)
    shutil.move(tree / "3.jpg", tree / "elsewhere")
    with pytest.raises(DataError, match=r"3\.jpg': No such file"):
        file_digests(root, paths, SourceCache(root, CacheFiles(cache_folder("data"))))


def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(tree: Path) -> None:
    (tree / "1.jpg").unlink()
    os.mkfifo(tree / "1.jpg")
    with pytest.raises(DataError, match=r"1\.jpg': "):
        digests(tree)
