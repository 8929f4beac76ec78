"""A JPEG whose size is known, decoded when and as far as it is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.picture import Box, Picture, whole
from gpunn.data.decoding.storage import Storage


class JpegPicture:
    """A JPEG of one or three components.

    Args:
        storage: how the picture lies in the file.
        channels: 1 (gray) or 3 (RGB).
        decode: called with a reduction and a number of rows; the picture so many times smaller, and of it at least so
            many rows from the top. It raises ValueError when it finds fault with the file.
        careful: opens the same picture for what `decode` finds fault with, or refuses it.
    """

    def __init__(
        self, storage: Storage, channels: int, decode: Callable[[int, int], Picture], careful: Callable[[], Picture]
    ) -> None:
        self._storage = storage
        self._decode = decode
        self._careful = careful
        self._decoded: tuple[int, Picture] | None = None
        self.channels = channels

    @property
    def size(self) -> tuple[int, int]:
        return self._storage.size

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        drawing = self._storage.drawing(out, box)
        try:
            picture = self._at(drawing.reduction, drawing.rows)
        except ValueError:
            self._careful().draw(out, box)
        else:
            picture.draw(drawing.out, drawing.box)

    def pixels(self) -> npt.NDArray[np.uint8]:
        out = np.empty((*self.size, self.channels), np.uint8)
        self.draw(out, whole(self.size))
        return out

    def _at(self, reduction: int, rows: int) -> Picture:
        """What is decoded last is kept: a picture may be drawn several times."""
        if self._decoded is None or self._decoded[0] != reduction or self._decoded[1].size[0] < rows:
            self._decoded = None
            self._decoded = (reduction, self._decode(reduction, rows))
        return self._decoded[1]
