"""The files in a tar archive: where each lies. Nothing is ever extracted, and what is no plain file is refused."""

from __future__ import annotations

import os
import stat
import tarfile
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from gpunn.data.dataset import DataWarning
from gpunn.data.names import printable
from gpunn.errors import DataError

_COMPRESSIONS = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd"),
}
"""How compressed files begin, what compresses them and what undoes it."""

_PART = 1 << 16


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: normalised.
        offset: of its first byte in the archive.
        size: in bytes.
    """

    name: bytes
    offset: int
    size: int


def open_archive(path: bytes) -> int:
    """A descriptor of a regular file, opened for reading.

    Raises:
        DataError: it cannot be opened, or is not regular; the text tells why, not which.
    """
    try:
        # Opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DataError(error.strerror) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise DataError("not a regular file")


def members(descriptor: int, source: str) -> Iterator[Member]:
    """The regular files in an archive, in the order of their places; folders are passed over.

    Args:
        descriptor: of the archive, which may be used for `os.pread` between two members.
        source: what it is, for messages.

    Raises:
        DataError: the archive is compressed, truncated or damaged, or holds what is no plain file (a link, a device, a
            FIFO, a file with holes) or a name that leads out of the archive.
    """
    size = os.fstat(descriptor).st_size
    _refuse_compressed(os.pread(descriptor, 8, 0), source)
    with open(descriptor, "rb", closefd=False) as stream:
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
                while (header := archive.next()) is not None:
                    _refuse_odd(header, source)
                    if not 0 <= header.size <= size - header.offset_data:
                        raise DataError(
                            f"{source} is truncated: it ends within '{printable(_name(header))}'; get it again"
                        )
                    # Else every header of the archive would stay in memory.
                    archive.members.clear()  # type: ignore[attr-defined]
                    if not header.isdir():
                        yield Member(os.path.normpath(_name(header)), header.offset_data, header.size)
                end = archive.offset
        except DataError:
            raise
        except Exception as error:
            # A damaged archive makes the parser fail in ways listed nowhere: TarError, ValueError, OverflowError, ...
            raise DataError(f"{source} is no readable tar archive: {printable(str(error))}") from error
    _check_end(descriptor, end, size, source)


def _refuse_compressed(beginning: bytes, source: str) -> None:
    for magic, (name, remedy) in _COMPRESSIONS.items():
        if beginning.startswith(magic):
            raise DataError(
                f"{source} is compressed with {name}, so no sample can be read without all before it; use: {remedy}"
            )


def _refuse_odd(header: tarfile.TarInfo, source: str) -> None:
    """Raises DataError unless a header is of a folder or a plain file inside the archive."""
    name = _name(header)
    kind = _kind(header)
    if kind is not None:
        raise DataError(f"{source}: '{printable(name)}' is {kind}; samples must be plain files")
    if name.startswith(b"/") or b".." in name.split(b"/"):
        raise DataError(f"{source}: the name '{printable(name)}' leads out of the archive, which is not to be trusted")


def _name(header: tarfile.TarInfo) -> bytes:
    return header.name.encode("utf-8", "surrogateescape")


def _kind(header: tarfile.TarInfo) -> str | None:
    """What a member is that is neither a plain file nor a folder."""
    if header.type == tarfile.REGTYPE and not header.issparse():
        return None
    kinds = {
        "a symbolic link (tar --dereference stores what it leads to)": header.issym(),
        "a hard link (tar --hard-dereference stores a copy)": header.islnk(),
        "a device": header.ischr() or header.isblk(),
        "a FIFO": header.isfifo(),
        "a file with holes (leave out tar --sparse)": header.issparse(),
        f"of the unknown type {header.type!r}": not (header.isreg() or header.isdir()),
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)


def _check_end(descriptor: int, end: int, size: int, source: str) -> None:
    """The parser stops in silence wherever no header is: only blocks of zeros may be there."""
    if end == size:
        warnings.warn(
            f"{source} has no mark at its end: it may have been cut off between two files", DataWarning, stacklevel=2
        )
    for offset in range(end, size, _PART):
        part = os.pread(descriptor, _PART, offset)
        if part.strip(b"\0"):
            found = offset + len(part) - len(part.lstrip(b"\0"))
            what = "damaged" if found - end < tarfile.BLOCKSIZE else "more than one archive"
            raise DataError(f"{source} is {what}: after byte {end}, where its files end, byte {found} is not 0")
