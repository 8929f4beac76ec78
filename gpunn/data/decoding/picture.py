"""What is asked of a picture that has been opened, and of whoever opens it."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from gpunn.errors import DataError

Box: TypeAlias = tuple[float, float, float, float]
"""A region of a picture in pixels, edges that may lie between pixels: left, top, right, bottom."""


class Picture(Protocol):
    """A picture whose size is known; its pixels may still have to be decoded."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, as a person sees the picture."""

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        """out = the region `box`, scaled by antialiased bilinear interpolation.

        Gray is repeated and RGB becomes luma, as `out` has channels.

        Args:
            out: (height, width, 1 or 3), written as a whole.
            box: inside the picture.

        Raises:
            DataError: the pixels cannot be decoded; the text tells why, not which picture.
        """

    def pixels(self) -> npt.NDArray[np.uint8]:
        """All of it, (H, W, channels).

        Raises:
            DataError: as `draw`.
        """


class Decoder(Protocol):
    """A way to read image files and to scale pictures. All agree on which files are refused."""

    @property
    def name(self) -> str:
        """What a run's configuration calls it."""

    def open(self, encoded: bytes) -> Picture:
        """The picture in an image file with these contents.

        Raises:
            DataError: it is refused; the text tells why, not which file.
        """

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        """Pixels, (H, W, 1 or 3), as a picture."""


def whole(size: tuple[int, int]) -> Box:
    """All of a picture of that height and width."""
    return 0.0, 0.0, float(size[1]), float(size[0])


def check_picture(picture: npt.NDArray[Any]) -> None:
    """Raises DataError unless the array is a picture: uint8, (H, W, C) with C = 1 or 3, none of them 0."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3) or 0 in picture.shape:
        raise DataError(
            f"a picture must be uint8 of shape (H, W, 1) or (H, W, 3), got {picture.dtype} of shape {picture.shape}"
        )
