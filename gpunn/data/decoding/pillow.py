"""Pillow reads every format; how each way of storing a picture becomes uint8 gray or RGB is defined here once.

- The rotation that a camera noted in the EXIF data is carried out.
- 16-bit samples keep their upper eight bits.
- Transparent pictures are laid over white; palettes, CMYK and other colour models become RGB.
- Of an animation or a file with several pages the first picture is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from gpunn.data.decoding.picture import Box, Picture, whole
from gpunn.data.names import printable
from gpunn.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAXIMUM_PIXELS = 80_000_000

_EXIF_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GRAY_MODES = ("1", "L", "LA", "La")


class PillowDecoder:
    """Reads and scales with Pillow.

    Args:
        maximum_pixels: a larger picture is refused before memory is taken for it.
    """

    name = "pillow"

    def __init__(self, maximum_pixels: int = MAXIMUM_PIXELS) -> None:
        self._maximum_pixels = maximum_pixels

    def open(self, encoded: bytes) -> Picture:
        """The picture in an image file with these contents.

        Raises:
            DataError: it is damaged, of another format, too large, or of a kind of pixel that has no defined meaning.
        """
        with _reasons(self._maximum_pixels):
            image = Image.open(BytesIO(encoded), formats=FORMATS)
            width, height = image.size
            if width * height > self._maximum_pixels:
                raise DataError(f"{height}x{width} is larger than the limit of {self._maximum_pixels} pixels")
            image.load()
            return PillowPicture(_defined(image))

    def picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        """Pixels, (H, W, 1 or 3), as a picture."""
        return PillowPicture(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


class PillowPicture:
    """A picture in mode L or RGB."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @cached_property
    def size(self) -> tuple[int, int]:
        return self._image.height, self._image.width

    @property
    def channels(self) -> int:
        return 1 if self._image.mode == "L" else 3

    def draw(self, out: npt.NDArray[np.uint8], box: Box) -> None:
        image = self._image
        height, width, channels = out.shape
        if channels == 1 and image.mode != "L":
            image = image.convert("L")
        if (height, width) != self.size or box != whole(self.size):
            # Rounding may leave an edge a hair outside the picture, which Pillow refuses.
            inside = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], image.width), min(box[3], image.height))
            image = image.resize((width, height), Image.Resampling.BILINEAR, inside)
        out[...] = np.asarray(image).reshape(height, width, -1)

    def pixels(self) -> npt.NDArray[np.uint8]:
        pixels = np.asarray(self._image)
        return pixels.reshape(*pixels.shape[:2], -1)


@contextmanager
def _reasons(maximum_pixels: int) -> Iterator[None]:
    """Every way in which a decoder fails, as a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        # A damaged file makes decoders fail in ways listed nowhere: OSError, SyntaxError, struct.error, ...
        raise DataError(_reason(error, maximum_pixels)) from error


def _reason(error: Exception, maximum_pixels: int) -> str:
    match error:
        case UnidentifiedImageError():
            return f"not an image of a known format ({', '.join(FORMATS)})"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"larger than the limit of {maximum_pixels} pixels"
        case OSError():
            return f"truncated or damaged ({printable(str(error))}); remove or replace it"
        case _:
            return f"damaged ({type(error).__name__}: {printable(str(error))}); remove or replace it"


def _defined(image: Image.Image) -> Image.Image:
    """The loaded picture in mode L or RGB, upright."""
    orientation = _orientation(image)
    picture = _eight_bit(image)
    picture = _over_white(picture).convert("L" if picture.mode in _GRAY_MODES else "RGB")
    return picture.transpose(_TRANSPOSITIONS[orientation]) if orientation in _TRANSPOSITIONS else picture


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        # Pictures with unreadable EXIF data are common and their pixels are sound.
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """The picture with eight bits a sample; only gray pictures reach this point with more."""
    if image.mode == "F":
        raise DataError("floating-point pixels have no defined range; store 8 or 16 bits a sample")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise DataError("samples of more than 16 bits have no defined range; store 8 or 16 bits a sample")
    gray = Image.fromarray((samples >> 8).astype(np.uint8))
    if "transparency" in image.info:
        gray.putalpha(Image.fromarray(np.where(samples == image.info["transparency"], 0, 255).astype(np.uint8)))
    return gray


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image
    layer = image.convert("LA") if image.mode == "La" else image
    layer = layer.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
