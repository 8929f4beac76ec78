"""Where results that took long are kept for the next process, and how they are written."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

from gpunn.errors import UsageError

#: The environment variable that names another folder.
CACHE_VARIABLE = "GPUNN_CACHE"


class CacheWarning(UserWarning):
    """The cache cannot be written: work is done again in every process."""


def cache_folder(room: str) -> Path:
    """The folder of one kind of results, in GPUNN_CACHE or in gpunn in the user's cache folder.

    A user without a home, as containers have them, gets a folder among the temporary ones.

    Raises:
        UsageError: there is no home, and no temporary folder that is this user's alone.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen) / room
    users = os.environ.get("XDG_CACHE_HOME")
    if users:
        return Path(users) / "gpunn" / room
    try:
        return Path.home() / ".cache" / "gpunn" / room
    except RuntimeError:
        return _temporary_folder() / room


def _temporary_folder() -> Path:
    """A folder of this user's own. Everybody can make one of that name first, and would decide what is run here."""
    try:
        folder = Path(tempfile.gettempdir()) / f"gpunn-{os.getuid()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return folder
        trouble = f"'{folder}' is not a folder of this user's alone"
    except OSError as error:
        trouble = f"no temporary folder can be made: {error.strerror or error}"
    raise UsageError(f"this user has no home to keep a cache in, and {trouble}; set {CACHE_VARIABLE} to a folder")


class CacheFiles:
    """The files of one cache folder. Processes may share it: a reader finds a whole file or none.

    A folder that cannot be written costs time and one warning, never the work itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._warned = False

    def read(self, name: str) -> bytes | None:
        """What is in the file; None when it is not there or cannot be read."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, over any that is there: whoever comes last wins."""
        temporary = self.folder / f".{name}.{secrets.token_hex(8)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, self.folder / name)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            self._warn(error)

    def mark_used(self, name: str) -> None:
        """Have `remove_unused` count from now."""
        with suppress(OSError):
            os.utime(self.folder / name)

    def remove_unused(self, days: float) -> None:
        """Remove the files that were neither written nor marked for so many days. Who has one mapped may go on."""
        earliest = time.time() - days * 24 * 3600
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                # Another process may be removing the same ones.
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < earliest:
                        os.unlink(entry.path)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the cache folder {self.folder} cannot be written ({error.strerror}), so every start takes longer; "
                f"set {CACHE_VARIABLE} to a folder that can",
                CacheWarning,
                stacklevel=2,
            )
