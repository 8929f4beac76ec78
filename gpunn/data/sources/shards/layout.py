"""Which tar shards a path leads to, and which half of a data set each belongs to."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from gpunn.data.dataset import DataWarning
from gpunn.data.names import printable
from gpunn.errors import DataError

LAYOUT = (
    "tar shards of KEY.jpg and KEY.cls (or KEY.json with a label): train-*.tar and val-*.tar, train/*.tar and "
    "val/*.tar, or *.tar, which are split by the seed"
)

_SUFFIXES = (b".tar", b".tar.gz", b".tgz", b".tar.bz2", b".tbz2", b".tar.xz", b".txz", b".tar.zst")
"""Of archives; the compressed ones are refused when they are read, with what to do."""

_HALF = re.compile(rb"(?:^|[-_.])(train|val|validation)(?=[-_.])")


def is_shards(path: Path) -> bool:
    """Whether it is a tar archive, or a folder with some in it or in its halves."""
    raw = os.fsencode(path)
    if not path.is_dir():
        return _is_archive(raw) and path.is_file()
    return any(archives_in(os.path.join(raw, folder)) for folder in (b"", b"train", b"val", b"validation"))


def find_shards(root: bytes) -> Mapping[str, list[bytes]]:
    """The shards of a folder, relative to it and sorted by bytes, as "train", "validation" or "undivided".

    Raises:
        DataError: they are in more than one place, or in places that mean the same.
    """
    places = {folder: archives_in(os.path.join(root, folder)) for folder in (b"", b"train", b"val", b"validation")}
    present = [folder for folder, names in places.items() if names]
    if (b"" in present and len(present) > 1) or {b"val", b"validation"} <= set(present):
        shown = " and ".join(f"'{printable(os.path.join(root, folder))}'" for folder in present)
        raise DataError(f"shards lie in {shown}; keep those of one layout: {LAYOUT}")
    if b"" in present:
        return _by_name(root, places[b""])
    return {
        "train" if folder == b"train" else "validation": [os.path.join(folder, name) for name in places[folder]]
        for folder in present
    }


def archives_in(folder: bytes) -> list[bytes]:
    """The names of the archives directly in a folder, sorted by bytes; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _is_archive(entry.name) and not entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_archive(name: bytes) -> bool:
    return os.path.basename(name).lower().endswith(_SUFFIXES) and not os.path.basename(name).startswith(b".")


def _by_name(root: bytes, names: list[bytes]) -> Mapping[str, list[bytes]]:
    halves: dict[str, list[bytes]] = {}
    others = []
    for name in names:
        match = _HALF.search(name)
        if match is None:
            others.append(name)
        else:
            halves.setdefault("train" if match[1] == b"train" else "validation", []).append(name)
    if not halves:
        return {"undivided": names}
    if others:
        shown = ", ".join(f"'{printable(name)}'" for name in others[:3]) + (" ..." if len(others) > 3 else "")
        warnings.warn(
            f"'{printable(root)}': shards whose names have no train, val or validation in them, as others have: "
            f"{len(others)} ({shown}); they are passed over",
            DataWarning,
            stacklevel=2,
        )
    return halves
