"""Files that are whole at every moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gpunn.durable_files import append_to_file, flush_folder, link_or_copy, replace_file


def test_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, [b"a longer text"])
    replace_file(path, [b"sh", b"", b"ort"])
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_writes_that_take_only_a_part_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, piece: write(descriptor, piece[:3]))
    replace_file(tmp_path / "file", [b"0123456789", b"abcd"])
    append_to_file(tmp_path / "file", b"ABCDEFG")
    assert (tmp_path / "file").read_bytes() == b"0123456789abcdABCDEFG"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", [b""])
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_failed_append_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    append_to_file(path, b"first\n")
    write = os.write

    def half_then_full(descriptor: int, piece: memoryview) -> int:
        if len(piece) < 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, piece[:3])

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="No space left"):
        append_to_file(path, b"second\n")
    assert path.read_bytes() == b"first\n"


def test_a_full_disk_is_an_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        append_to_file(full, b"text")


def test_a_link_shares_the_bytes_and_a_copy_replaces_it_where_links_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 10_000)
    link_or_copy(source, tmp_path / "link")
    assert (tmp_path / "link").samefile(source)

    def unknown(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "links are not known")

    monkeypatch.setattr(os, "link", unknown)
    link_or_copy(source, tmp_path / "copy")
    assert not (tmp_path / "copy").samefile(source)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("code", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_without_folder_flush_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raises: bool
) -> None:
    def failing(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    if raises:
        with pytest.raises(OSError, match="error"):
            flush_folder(tmp_path)
    else:
        flush_folder(tmp_path)
