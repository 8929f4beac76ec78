"""Tar archives that the tests make, member by member."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tests.data.pictures import random_picture

Content = tuple[str, bytes]


def jpeg(seed: int, height: int = 12, width: int = 16) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(random_picture(seed, height, width)).save(stream, "JPEG")
    return stream.getvalue()


def sample(key: str, label: int, seed: int = 0, *, in_json: bool = False) -> list[Content]:
    """The members of one sample."""
    described = (f"{key}.json", json.dumps({"label": label, "text": key}).encode())
    return [(f"{key}.jpg", jpeg(seed)), described if in_json else (f"{key}.cls", str(label).encode())]


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """One member as it lies in an archive: header, content, filled up to whole blocks."""
    header = tarfile.TarInfo(name)
    header.type, header.size, header.linkname = kind, len(content), link
    raw = header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return raw + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def archive(contents: Iterable[Content | bytes], end: int = 2 * tarfile.BLOCKSIZE) -> bytes:
    """An archive of files, or of members that `member` has made."""
    return b"".join(one if isinstance(one, bytes) else member(*one) for one in contents) + bytes(end)


def write_shard(path: Path, contents: Iterable[Content | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive(contents))
    return path
