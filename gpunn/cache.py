"""Where results that took long are kept for the next process, and how they are written."""

from __future__ import annotations

import os
import secrets
import warnings
from contextlib import suppress
from pathlib import Path

#: The environment variable that names another folder.
CACHE_VARIABLE = "GPUNN_CACHE"


class CacheWarning(UserWarning):
    """The cache cannot be written: work is done again in every process."""


def cache_folder(room: str) -> Path:
    """The folder of one kind of results, in GPUNN_CACHE or in gpunn in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen) / room
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpunn" / room


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

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the cache folder {self.folder} cannot be written ({error.strerror}), so every start takes longer; "
                f"set {CACHE_VARIABLE} to a folder that can",
                CacheWarning,
                stacklevel=2,
            )
