"""Many short strings of bytes in two arrays: a million paths as objects would take four times the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_PART = 4096


class ByteStrings:
    """Strings of bytes by their number.

    Args:
        content: uint8, all of them, one after another.
        offsets: int64, (N + 1,), where each begins in `content`, and where the last ends.
    """

    def __init__(self, content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        self.content = content
        self.offsets = offsets

    @classmethod
    def of(cls, strings: Iterable[bytes]) -> ByteStrings:
        """These strings, in this order."""
        kept = list(strings)
        offsets = np.zeros(len(kept) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, kept), np.int64, len(kept)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(kept), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        if not -len(self) <= index < len(self):
            raise IndexError(f"string {index} of {len(self)}")
        index %= len(self)
        return self.content[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self), _PART):
            yield from self.part(first, min(first + _PART, len(self)))

    def part(self, first: int, last: int) -> list[bytes]:
        """Strings `first` to `last` - 1."""
        offsets = self.offsets[first : last + 1].tolist()
        content = self.content[offsets[0] : offsets[-1]].tobytes()
        return [content[begin - offsets[0] : end - offsets[0]] for begin, end in pairwise(offsets)]
