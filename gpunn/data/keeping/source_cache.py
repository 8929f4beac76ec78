"""What is kept about the places of data from one start of the program to the next."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

import gpunn
from gpunn.cache import CacheFiles
from gpunn.data.keeping.kept_arrays import KeptArrays, keep, read_kept

WORTH_KEEPING = 1000
"""About fewer files nothing is kept: to look at them anew takes no time."""

UNUSED_DAYS = 90
"""After so many days what is kept about a place is taken for forgotten."""


@dataclass(frozen=True)
class SourceCache:
    """What is kept about one place of data: a tree, a folder of shards, a file.

    Attributes:
        place: its path.
        files: of all places.
    """

    place: bytes
    files: CacheFiles

    def read(self, what: str) -> KeptArrays | None:
        """What was kept under this name; None where there is nothing of use."""
        name = self._name(what)
        kept = read_kept(self.files, name)
        if kept is not None:
            self.files.mark_used(name)
        return kept

    def keep(self, what: str, count: int, arrays: Mapping[str, npt.NDArray[Any]]) -> KeptArrays | None:
        """Keep arrays that tell of `count` files; None where they are too few, or the cache cannot be written.

        What was kept about places that nobody has used for long is removed.
        """
        if count < WORTH_KEEPING:
            return None
        kept = keep(self.files, self._name(what), arrays)
        self.files.remove_unused(UNUSED_DAYS)
        return kept

    def _name(self, what: str) -> str:
        """A name for this place and this version of the program, whose rules may differ from another's."""
        name = f"{gpunn.__version__}:".encode() + os.path.abspath(self.place)
        return f"{hashlib.sha256(name).hexdigest()[:32]}.{what}"
