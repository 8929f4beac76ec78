"""Which files of the cache are damaged, as far as they show it themselves."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"\x7fELF"
#: Where an ELF file of 64 bits says where its section table begins, how long an entry is, and how many there are
#: (System V Application Binary Interface, chapter 4).
_HEADER = struct.Struct("<40xQ10xHH2x")


def damaged_libraries(folder: Path) -> Iterator[Path]:
    """The emulator's libraries that were cut off, or are none."""
    for path in sorted(folder.glob("*.so")):
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            yield path
            continue
        begin, length, count = _HEADER.unpack(header)
        if path.stat().st_size < begin + length * count:
            yield path


def damaged_choices(folder: Path) -> Iterator[Path]:
    """Files of the tuner that are no JSON object."""
    for path in sorted(folder.glob("*.json")):
        try:
            good = isinstance(json.loads(path.read_bytes()), dict)
        except (ValueError, RecursionError):
            good = False
        if not good:
            yield path
