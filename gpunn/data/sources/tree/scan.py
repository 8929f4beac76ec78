"""Finding the class folders below a root and the images below them, in an order that no locale changes.

Names are handled as bytes and sorted as bytes. Names that begin with a dot are passed over, as a shell's `*` does:
they are notes that file managers leave. Links are followed, but every real folder is read once, so that a loop of
links ends; a folder belongs to the class it really lies in, wherever links to it lie.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from gpunn.data.keeping.file_state import is_settled
from gpunn.data.keeping.in_threads import progress
from gpunn.data.names import printable
from gpunn.errors import DataError

SUFFIXES = frozenset((b".jpg", b".jpeg", b".png", b".webp", b".bmp", b".gif", b".tif", b".tiff", b".ppm", b".pgm"))


@dataclass
class Scan:
    """What one reading of a tree found. All paths are relative to its root.

    Attributes:
        images: for each class the image files, sorted by bytes.
        passed_over: what is neither an image nor a folder that is read, each with the reason.
        states: the folders that were read and the links that were followed, each with its `state`: as long as those
            are the same, another reading would find the same.
        settled: the states can be relied on.
    """

    images: list[list[bytes]]
    passed_over: list[tuple[bytes, str]] = field(default_factory=list)
    states: list[tuple[bytes, int]] = field(default_factory=list)
    settled: bool = True


def class_folders(root: bytes) -> list[bytes]:
    """The names of the folders directly in `root`, links to folders included, sorted by bytes.

    Raises:
        DataError: `root` cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(b".") and _is_folder(entry))
    except OSError as error:
        raise DataError(f"folder '{printable(root)}' cannot be read: {error.strerror}") from error


def half_folders(root: bytes) -> list[bytes]:
    """The folders in `root` that hold class folders: train, and val and validation as far as they are there.

    Where no train is such a folder, `root` holds the class folders itself: b"".

    Raises:
        DataError: the folder train cannot be read.
    """
    train = os.path.join(root, b"train")
    # A folder named train that holds images and no folders is a class like any other.
    if not (os.path.isdir(train) and class_folders(train)):
        return [b""]
    return [b"train", *(name for name in (b"val", b"validation") if os.path.isdir(os.path.join(root, name)))]


def is_image(path: bytes) -> bool:
    """Whether a file is taken for an image, by its suffix."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def scan(root: bytes, classes: list[bytes]) -> Scan:
    """The images at any depth in each class folder of `root`."""
    walk = _Walk(root, Scan([[] for _ in classes]))
    with progress(f"finding images in '{printable(root)}'") as bar:
        for folder in walk.run(classes):
            bar.update(len(folder))
    for paths in walk.found.images:
        paths.sort()
    return walk.found


def state(path: bytes) -> int:
    """A number that is another one when the path leads to something else.

    A file's is that of every regular file: what it holds is not asked. A folder's changes with its entries, its owner
    and its permissions. The hash of integers is the same in every process.
    """
    try:
        return _state(os.stat(path))
    except OSError as error:
        return hash((error.errno,))


@dataclass
class _Walk:
    """One reading of a tree: what was found and which folders, as (device, inode), were met."""

    root: bytes
    found: Scan
    met: set[tuple[int, int]] = field(default_factory=set)
    links: deque[tuple[int, bytes]] = field(default_factory=deque)

    def run(self, classes: list[bytes]) -> Iterator[list[os.DirEntry[bytes]]]:
        """Reads the tree, and yields what lies in each folder."""
        with suppress(OSError):
            self.met.add(_identity(os.stat(self.root)))
        folders = []
        for label, name in enumerate(classes):
            if os.path.islink(os.path.join(self.root, name)):
                self.links.append((label, name))
            elif self._enter(name):
                folders.append((label, name))
        for label, name in folders:
            yield from self._read(label, name)
        # After all real folders, so that none of them is first met through a link from another class.
        while self.links:
            label, name = self.links.popleft()
            if self._enter(name):
                yield from self._read(label, name)

    def _enter(self, folder: bytes) -> bool:
        """Notes a folder as met; false if it was met before or is gone."""
        status = self._look(folder, "cannot be read")
        if status is None:
            return False
        if _identity(status) in self.met:
            self._pass_over(folder, "leads to a folder that is read already; it is read once")
            return False
        self.met.add(_identity(status))
        return True

    def _look(self, path: bytes, trouble: str) -> os.stat_result | None:
        """The status of what a path leads to, and a note of its state; None where it leads nowhere."""
        try:
            status = os.stat(os.path.join(self.root, path))
        except OSError as error:
            self.found.states.append((path, hash((error.errno,))))
            self._pass_over(path, f"{trouble}: {error.strerror}")
            return None
        self.found.states.append((path, _state(status)))
        if stat.S_ISDIR(status.st_mode) and not is_settled(status):
            self.found.settled = False
        return status

    def _read(self, label: int, folder: bytes) -> Iterator[list[os.DirEntry[bytes]]]:
        """Collects the images of a folder that was entered and of the real folders below it."""
        pending = [folder]
        while pending:
            current = pending.pop()
            entries = self._entries(current)
            for entry in entries:
                path = os.path.join(current, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if self._enter(path):
                        pending.append(path)
                elif entry.is_symlink():
                    self._follow(label, path)
                elif not entry.is_file(follow_symlinks=False):
                    self._pass_over(path, "is not a regular file")
                elif is_image(path):
                    self.found.images[label].append(path)
            yield entries

    def _follow(self, label: int, path: bytes) -> None:
        status = self._look(path, "is a link that leads nowhere")
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            self.links.append((label, path))
        elif not stat.S_ISREG(status.st_mode):
            self._pass_over(path, "is not a regular file")
        elif is_image(path):
            self.found.images[label].append(path)

    def _entries(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(b".")]
        except OSError as error:
            self._pass_over(folder, f"cannot be read: {error.strerror}")
            # What hindered may go away, and no time of the folder would tell.
            self.found.settled = False
            return []
        visible.sort(key=lambda entry: entry.name)
        return visible

    def _pass_over(self, path: bytes, why: str) -> None:
        self.found.passed_over.append((path, why))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _state(status: os.stat_result) -> int:
    if stat.S_ISDIR(status.st_mode):
        return hash((*_identity(status), status.st_mode, status.st_mtime_ns, status.st_ctime_ns))
    return hash((stat.S_IFMT(status.st_mode),))
