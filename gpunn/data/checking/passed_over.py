"""Files in a folder of class folders that no data set will hold, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpunn.data.names import printable
from gpunn.data.sources.tree.scan import SUFFIXES


@dataclass
class _Group:
    """Files that are passed over for one reason."""

    files: int = 0
    example: bytes = b""

    def add(self, path: bytes) -> None:
        self.files += 1
        self.example = min(self.example, path) if self.example else path

    def text(self, reason: str) -> str:
        number = "1 file" if self.files == 1 else f"{self.files} files"
        return f"{number} {reason}, such as '{printable(self.example)}'"


def passed_over(root: bytes, halves: Sequence[bytes], loose: Sequence[bytes]) -> list[str]:
    """A line for each reason, with a number of files and an example; names that begin with a dot are not counted.

    Args:
        root: the folder of the data set.
        halves: the folders in it that hold class folders; b"" for `root` itself.
        loose: the folders in it whose images are read without class folders.
    """
    groups: dict[str, _Group] = {}
    for path in _files(root):
        reason = _reason(path, halves, loose)
        if reason is not None:
            groups.setdefault(reason, _Group()).add(path)
    return [f"passed over: {group.text(reason)}" for reason, group in sorted(groups.items())]


def _reason(path: bytes, halves: Sequence[bytes], loose: Sequence[bytes]) -> str | None:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        return f"with the suffix {printable(suffix)}, which no image file has" if suffix else "without a suffix"
    folder = os.path.dirname(path)
    if folder in loose:
        return None
    if folder in halves:
        return "in no class folder"
    read = any(not half or folder.startswith(half + b"/") for half in halves)
    return None if read else "outside the folders that are read"


def _files(root: bytes) -> Iterator[bytes]:
    """The regular files below `root`, relative to it; links are not followed."""
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    path = os.path.join(folder, entry.name)
                    if entry.name.startswith(b"."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        yield path
        except OSError:
            # Whoever reads the data set warns of it.
            continue
