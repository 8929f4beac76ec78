"""libjpeg-turbo decodes JPEG without a detour, and a vectorised convolution scales: the extra `fast`.

Both were taken by measurement. Of one picture of 500x375 pixels drawn at 224x224, simplejpeg decodes in four fifths
of Pillow's time, and cykooz_resizer (the crate fast_image_resize) scales in three tenths of it; OpenCV's only
antialiased method, INTER_AREA, takes more than twice that.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import simplejpeg
from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

from gpunn.data.decoding.colours import luma
from gpunn.data.decoding.jpeg_header import plain_frame_of
from gpunn.data.decoding.jpeg_picture import JpegPicture
from gpunn.data.decoding.picture import Box, Picture, whole
from gpunn.data.decoding.pillow import MAXIMUM_PIXELS, PillowDecoder
from gpunn.data.decoding.storage import Orientation, Storage

_PIXEL_TYPES = {1: PixelType.U8, 3: PixelType.U8x3}
_COLOUR_SPACES = {1: "GRAY", 3: "RGB"}


class FastDecoder:
    """Reads JPEG with simplejpeg and scales with cykooz_resizer; whatever else there is, Pillow reads and scales.

    Files are opened, measured and refused by Pillow: what simplejpeg finds fault with, down to a warning, Pillow
    decodes or refuses. So both decoders refuse the same files.

    Both scale by the triangle filter, stretched by the factor of scaling, horizontally and then vertically, with a
    rounding to eight bits between and after. The weights are rounded differently, so a pixel may differ from Pillow's
    by one; all instruction sets give the same pixels. Unscaled pixels are the same where both are built on
    libjpeg-turbo.

    Args:
        maximum_pixels: a larger picture is refused before memory is taken for it.
    """

    name = "fast"

    def __init__(self, maximum_pixels: int = MAXIMUM_PIXELS) -> None:
        self._pillow = PillowDecoder(maximum_pixels)
        self._maximum_pixels = maximum_pixels

    def open(self, encoded: bytes) -> Picture:
        """The picture in an image file with these contents; its pixels are decoded when they are asked for.

        Raises:
            DataError: as PillowDecoder; of a plain JPEG, all that can be wrong is said when it is drawn.
        """
        frame = plain_frame_of(encoded)
        if frame is not None and frame.height * frame.width <= self._maximum_pixels:
            storage = Storage(frame.height, frame.width, Orientation(), reducible=True)
            return _jpeg(encoded, storage, frame.components, lambda: self._pillow.opened(encoded))
        picture = self._pillow.opened(encoded)
        # What is stored with four inks comes out of libjpeg in ways that only Pillow's conversion sets right.
        if picture.format == "JPEG" and picture.direct:
            return _jpeg(encoded, picture.storage, picture.channels, lambda: picture)
        return picture

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        """Pixels, (H, W, 1 or 3), as a picture."""
        return PixelPicture(pixels)


class PixelPicture:
    """Pixels, (H, W, 1 or 3)."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self._pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        return self._pixels.shape[0], self._pixels.shape[1]

    @property
    def channels(self) -> int:
        return int(self._pixels.shape[2])

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        pixels = self._pixels
        height, width, channels = out.shape
        if channels == 1 and self.channels == 3:
            pixels = luma(pixels)
        if (height, width) != self.size or box != whole(self.size):
            pixels = _scaled(pixels, height, width, box)
        out[...] = pixels

    def pixels(self) -> npt.NDArray[np.uint8]:
        return self._pixels


def _jpeg(encoded: bytes, storage: Storage, channels: int, careful: Callable[[], Picture]) -> JpegPicture:
    def decode(reduction: int, rows: int) -> PixelPicture:
        # All rows: only what is decoded to its end does simplejpeg find fault with.
        height, width = storage.reduced_size(reduction)
        return PixelPicture(
            simplejpeg.decode_jpeg(encoded, _COLOUR_SPACES[channels], min_height=height, min_width=width, strict=True)
        )

    return JpegPicture(storage, channels, decode, careful)


def _scaled(pixels: npt.NDArray[np.uint8], height: int, width: int, box: Box) -> npt.NDArray[np.uint8]:
    """The region `box` of (H, W, C) at (height, width, C), antialiased."""
    left, right, box_left, box_width = _reach(box[0], box[2], width, pixels.shape[1])
    top, bottom, box_top, box_height = _reach(box[1], box[3], height, pixels.shape[0])
    kind = _PIXEL_TYPES[pixels.shape[2]]
    # Only what the filter reaches: the library copies what it is given.
    source = ImageData(right - left, bottom - top, kind, pixels[top:bottom, left:right].tobytes())
    target = ImageData(width, height, kind)
    options = ResizeOptions(
        ResizeAlg.convolution(FilterType.bilinear), False, CropBox(box_left, box_top, box_width, box_height)
    )
    # One that several threads shared would let them wait for each other.
    Resizer().resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, -1)


def _reach(first: float, last: float, count: int, size: int) -> tuple[int, int, float, float]:
    """Of the pixels of one axis, 0 to `size`, those that scaling [first, last] to `count` reads: where they begin and
    end, and where the region begins among them, and its length."""
    first, last = max(first, 0.0), min(last, float(size))
    support = max((last - first) / count, 1.0)
    begin = max(math.floor(first - support), 0)
    end = min(math.ceil(last + support), size)
    # Rounding must not carry the region past the end.
    return begin, end, first - begin, min(last - first, end - begin - (first - begin))
