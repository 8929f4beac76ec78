"""Finding the class folders below a root and the images below them, in an order that no locale changes.

Names are handled as bytes and sorted as bytes. Names that begin with a dot are passed over, as a shell's `*` does:
they are notes that file managers leave. Links are followed, but every real folder is read once, so that a loop of
links ends; a folder belongs to the class it really lies in, wherever links to it lie.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpunn.data.dataset import DataWarning
from gpunn.data.names import printable
from gpunn.errors import DataError

SUFFIXES = frozenset((b".jpg", b".jpeg", b".png", b".webp", b".bmp", b".gif", b".tif", b".tiff", b".ppm", b".pgm"))


def class_folders(root: bytes) -> list[bytes]:
    """The names of the folders directly in `root`, links to folders included, sorted by bytes.

    Raises:
        DataError: `root` cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(b".") and os.path.isdir(entry.path)
            )
    except OSError as error:
        raise DataError(f"folder '{printable(root)}' cannot be read: {error.strerror}") from error


def images_by_class(root: bytes, classes: list[bytes]) -> list[list[bytes]]:
    """For each class folder of `root` the paths, relative to `root`, of the images at any depth in it, sorted by bytes.

    What is neither an image file nor a folder, and what cannot be read, is passed over with a DataWarning.
    """
    walk = _Walk(root, [[] for _ in classes])
    walk.run(classes)
    for paths in walk.images:
        paths.sort()
    return walk.images


@dataclass
class _Walk:
    """One reading of a tree: what was found and which folders, as (device, inode), were met."""

    root: bytes
    images: list[list[bytes]]
    met: set[tuple[int, int]] = field(default_factory=set)
    links: deque[tuple[int, bytes]] = field(default_factory=deque)

    def run(self, classes: list[bytes]) -> None:
        self._enter(b"")
        folders = []
        for label, name in enumerate(classes):
            if os.path.islink(os.path.join(self.root, name)):
                self.links.append((label, name))
            elif self._enter(name):
                folders.append((label, name))
        for label, name in folders:
            self._read(label, name)
        # After all real folders, so that none of them is first met through a link from another class.
        while self.links:
            label, name = self.links.popleft()
            if self._enter(name):
                self._read(label, name)

    def _enter(self, folder: bytes) -> bool:
        """Notes a folder as met; false if it was met before or is gone."""
        try:
            status = os.stat(os.path.join(self.root, folder))
        except OSError as error:
            self._warn(folder, f"cannot be read: {error.strerror}")
            return False
        identity = (status.st_dev, status.st_ino)
        if identity in self.met:
            self._warn(folder, "leads to a folder that is read already; it is read once")
            return False
        self.met.add(identity)
        return True

    def _read(self, label: int, folder: bytes) -> None:
        """Collects the images of a folder that was entered and of the real folders below it."""
        pending = [folder]
        while pending:
            current = pending.pop()
            for entry in self._entries(current):
                path = os.path.join(current, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if self._enter(path):
                        pending.append(path)
                elif entry.is_symlink():
                    self._follow(label, path)
                elif not entry.is_file(follow_symlinks=False):
                    self._warn(path, "is not a regular file")
                elif _is_image(path):
                    self.images[label].append(path)

    def _follow(self, label: int, path: bytes) -> None:
        try:
            mode = os.stat(os.path.join(self.root, path)).st_mode
        except OSError as error:
            self._warn(path, f"is a link that leads nowhere: {error.strerror}")
            return
        if stat.S_ISDIR(mode):
            self.links.append((label, path))
        elif not stat.S_ISREG(mode):
            self._warn(path, "is not a regular file")
        elif _is_image(path):
            self.images[label].append(path)

    def _entries(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(b".")]
        except OSError as error:
            self._warn(folder, f"cannot be read: {error.strerror}")
            return iter(())
        visible.sort(key=lambda entry: entry.name)
        return iter(visible)

    def _warn(self, path: bytes, what: str) -> None:
        full = os.path.join(self.root, path)
        warnings.warn(f"'{printable(full)}' {what}; it is passed over", DataWarning, stacklevel=2)


def _is_image(path: bytes) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES
