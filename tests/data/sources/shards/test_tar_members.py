from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpunn.data.dataset import DataWarning
from gpunn.data.sources.shards.tar_members import Member, members, open_archive
from gpunn.errors import DataError
from tests.data.sources.shards.tars import archive, member

CONTENT = b"content " * 100


def listed(path: Path) -> list[Member]:
    descriptor = open_archive(os.fsencode(path))
    try:
        return list(members(descriptor, f"'{path}'"))
    finally:
        os.close(descriptor)


def refusal(tmp_path: Path, content: bytes) -> str:
    """The message for an archive of these bytes; whatever it is, nothing is written."""
    path = tmp_path / "folder" / "bad.tar"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(DataError, match=r"bad\.tar'") as caught:
        listed(path)
    assert tree(tmp_path) == before
    return str(caught.value)


def tree(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_what_is_listed_is_where_it_says(tmp_path: Path) -> None:
    contents = {"a.jpg": b"first", "./deep/b.cls": CONTENT, "deep//c" + "x" * 300: b"", "odd \udcff\n": b"last"}
    path = tmp_path / "good.tar"
    path.write_bytes(archive([member("deep", kind=tarfile.DIRTYPE), *contents.items()]))
    found = listed(path)
    assert [one.name for one in found] == [b"a.jpg", b"deep/b.cls", b"deep/c" + b"x" * 300, b"odd \xff\n"]
    raw = path.read_bytes()
    assert [raw[one.offset : one.offset + one.size] for one in found] == list(contents.values())


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_archives_of_the_system_s_tar_are_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("1.jpg", "1.cls", "deep/2.jpg"):
        (tmp_path / "in" / name).write_bytes(name.encode())
    path = tmp_path / "system.tar"
    subprocess.run(["tar", "-C", tmp_path / "in", f"--format={form}", "-cf", path, "."], check=True)
    raw = path.read_bytes()
    found = {one.name: raw[one.offset : one.offset + one.size] for one in listed(path)}
    assert found == {name: name for name in (b"1.jpg", b"1.cls", b"deep/2.jpg")}


@pytest.mark.parametrize("name", ["../up.jpg", "a/../../up.jpg", "..", "/tmp/absolute.jpg", "//double.jpg"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, archive([("good.jpg", CONTENT), (name, CONTENT)]))
    assert f"'{name}' leads out of the archive" in message


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link (tar --dereference"),
        (tarfile.LNKTYPE, "a hard link (tar --hard-dereference"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a FIFO"),
        (b"Z", "of the unknown type b'Z'"),
    ],
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes, words: str) -> None:
    message = refusal(tmp_path, archive([("good.jpg", CONTENT), member("odd.jpg", kind=kind, link="/etc/passwd")]))
    assert f"'odd.jpg' is {words}" in message


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_file_with_holes_is_refused(tmp_path: Path, form: str) -> None:
    with (tmp_path / "holes.jpg").open("wb") as stream:
        stream.write(b"start")
        stream.truncate(1 << 20)
        stream.seek(0, os.SEEK_END)
        stream.write(b"end")
    path = tmp_path / "made.tar"
    subprocess.run(["tar", "-C", tmp_path, f"--format={form}", "--sparse", "-cf", path, "holes.jpg"], check=True)
    assert "'holes.jpg' is a file with holes" in refusal(tmp_path, path.read_bytes())


@pytest.mark.parametrize(
    ("compress", "remedy"), [(gzip.compress, "gunzip"), (bz2.compress, "bunzip2"), (lzma.compress, "unxz")]
)
def test_compressed_archives_are_refused_with_the_remedy(tmp_path: Path, compress: object, remedy: str) -> None:
    assert callable(compress)
    message = refusal(tmp_path, compress(archive([("a.jpg", CONTENT)])))
    assert "compressed" in message
    assert message.endswith(f"use: {remedy}")


def truncations() -> Iterator[int]:
    whole = len(archive([("a.jpg", CONTENT), ("b.jpg", CONTENT)], end=0))
    half = whole // 2
    yield from (1, 511, 512, 512 + 100, half - 1, half + 1, half + 511, half + 512, whole - 1)


@pytest.mark.parametrize("length", list(truncations()))
def test_wherever_it_is_cut_off_it_is_refused(tmp_path: Path, length: int) -> None:
    refusal(tmp_path, archive([("a.jpg", CONTENT), ("b.jpg", CONTENT)])[:length])


def test_cut_off_within_a_file_the_file_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, archive([("a.jpg", CONTENT), ("b.jpg", CONTENT)])[: 3 * 512 + 600])
    assert message.endswith("is truncated: it ends within 'b.jpg'; get it again")


def test_cut_off_between_two_files_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    path.write_bytes(archive([("a.jpg", CONTENT)], end=0))
    with pytest.warns(DataWarning, match=r"cut\.tar' has no mark at its end"):
        assert len(listed(path)) == 1


def test_blocks_of_zeros_may_follow(tmp_path: Path) -> None:
    path = tmp_path / "padded.tar"
    path.write_bytes(archive([("a.jpg", CONTENT)], end=200_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(listed(path)) == 1


def test_a_second_archive_behind_the_first_is_not_lost_in_silence(tmp_path: Path) -> None:
    for zeros in (1024, 10240, 200_000):
        one = archive([("a.jpg", CONTENT)], end=zeros)
        assert "more than one archive" in refusal(tmp_path, one + one)


def test_a_damaged_header_does_not_end_the_archive_in_silence(tmp_path: Path) -> None:
    content = bytearray(archive([("a.jpg", CONTENT), ("b.jpg", CONTENT), ("c.jpg", CONTENT)]))
    content[len(member("a.jpg", CONTENT)) + 150] ^= 0x15
    assert "damaged" in refusal(tmp_path, bytes(content))


def header_with_size(field: bytes) -> bytes:
    """A sound header but for the field of the size."""
    raw = bytearray(member("a.jpg"))
    raw[124:136] = field
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tar at all",
        b"<html>" * 200,
        header_with_size(b"\xff" * 11 + b"\x00"),
        header_with_size(b"\x80" + b"\xff" * 11),
        header_with_size(b"77777777777\0"),
        header_with_size(b"nonsense 99\0"),
        member("x", b"18 size=-1000000\n", tarfile.XHDTYPE) + member("a.jpg"),
        member("x", b"12 path=b\n" * 20, tarfile.XHDTYPE) * 3000,
    ],
    ids=["empty", "text", "html", "negative", "huge", "large", "no number", "pax size", "headers"],
)
def test_damaged_and_hostile_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    refusal(tmp_path, content)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")
    for path, words in ((tmp_path / "pipe.tar", "not a regular file"), (tmp_path / "absent.tar", "No such file")):
        with pytest.raises(DataError, match=words):
            open_archive(os.fsencode(path))
