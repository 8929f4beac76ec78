"""How a picture lies in its file: turned as a camera noted it, and in JPEG decodable at a part of its size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpunn.data.decoding.picture import Box

_BLOCK = 8
"""The side of the blocks that JPEG is made of, in pixels."""


@dataclass(frozen=True)
class Orientation:
    """How stored pixels become upright: rows and columns exchanged, if they are, before either is reversed.

    The eight cases of the tag Orientation (Exif 2.32, 4.6.4.A; `by_tag`).
    """

    transposed: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    @classmethod
    def by_tag(cls, tag: int) -> Orientation:
        """The meaning of the tag's value; whatever is not 1 to 8 is taken for 1, upright."""
        if tag not in range(1, 9):
            return cls()
        return cls(tag >= 5, tag in (3, 4, 7, 8), tag in (2, 3, 6, 7))

    def upright_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the upright picture, from the stored ones."""
        return (width, height) if self.transposed else (height, width)

    def stored_view(self, upright: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """An upright array, (H, W, C), seen in stored order: stored pixels written there come to lie upright."""
        view = upright[:: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]
        return view.swapaxes(0, 1) if self.transposed else view

    def stored_box(self, box: Box, height: int, width: int) -> Box:
        """A region of the upright picture, which measures height x width, as a region of the stored one."""
        left, top, right, bottom = box
        if self.rows_reversed:
            top, bottom = height - bottom, height - top
        if self.columns_reversed:
            left, right = width - right, width - left
        return (top, left, bottom, right) if self.transposed else (left, top, right, bottom)


@dataclass(frozen=True)
class Drawing:
    """A region to be drawn, in terms of what a decoder yields.

    Attributes:
        out: where scaled pixels are written, in stored order.
        box: the region in pixels of the decoded picture, of which it never leaves more than rounding.
        reduction: how many times smaller than stored the picture is decoded: 1, 2, 4 or 8.
        rows: how many rows of the decoded picture are read, counted from its top.
    """

    out: npt.NDArray[np.uint8]
    box: Box
    reduction: int
    rows: int


@dataclass(frozen=True)
class Storage:
    """How a picture lies in its file.

    Attributes:
        height, width: as stored.
        orientation: what makes it upright.
        reducible: it can be decoded at 1/2, 1/4 and 1/8 of its size.
    """

    height: int
    width: int
    orientation: Orientation
    reducible: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        return self.orientation.upright_size(self.height, self.width)

    def drawing(self, out: npt.NDArray[np.uint8], box: Box) -> Drawing:
        """What drawing the region `box` of the upright picture into `out`, (height, width, channels), comes to.

        Where the region is at least 2, 4 or 8 times as large as `out` in both directions, a JPEG is decoded so many
        times smaller: the inverse transform of each block takes only its lowest frequencies, which is itself an
        antialiased scaling, and what remains to be scaled is less than a factor of two in one direction. A pixel of
        the smaller picture covers exactly so many stored ones, counted from the left and the top, so the region is
        divided by that number although the smaller picture's size is rounded up.
        """
        target = self.orientation.stored_view(out)
        left, top, right, bottom = self.orientation.stored_box(box, *self.size)
        reduction = self._reduction((right - left) / target.shape[1], (bottom - top) / target.shape[0])
        reduced = (left / reduction, top / reduction, right / reduction, bottom / reduction)
        rows = self._rows(reduced, target.shape[0], target.shape[1], reduction)
        return Drawing(target, reduced, reduction, rows)

    def reduced_size(self, reduction: int) -> tuple[int, int]:
        """Height and width of the stored picture when it is decoded so many times smaller."""
        return -(-self.height // reduction), -(-self.width // reduction)

    def _rows(self, box: Box, target_height: int, target_width: int, reduction: int) -> int:
        height, width = self.reduced_size(reduction)
        # By the proportions of what it is given, Pillow scales rows or columns first, and rounds in between. A
        # picture that is tall beside the target keeps its height, so that this never changes.
        if height * target_width > width * target_height:
            return height
        # The triangle that pixels are weighted with reaches one pixel out, of the larger ones.
        reach = max((box[3] - box[1]) / target_height, 1.0)
        return min(math.ceil(box[3] + reach), height)

    def _reduction(self, *factors: float) -> int:
        # Less than a block can be of the same size at several reductions, which a decoder told the size confuses.
        if not self.reducible or min(self.height, self.width) < _BLOCK:
            return 1
        return next((reduction for reduction in (8, 4, 2) if min(factors) >= reduction), 1)
