"""From an image file to pixels: every way of storing a picture ends as uint8 RGB, defined here once.

- The rotation that a camera noted in the EXIF data is carried out.
- 16-bit samples keep their upper eight bits.
- Transparent pictures are laid over white; palettes, CMYK and other colour models become RGB.
- Of an animation or a file with several pages the first picture is taken.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

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


def decode(
    path: str | bytes | os.PathLike[str], *, keep_gray: bool = False, maximum_pixels: int = MAXIMUM_PIXELS
) -> npt.NDArray[np.uint8]:
    """The pixels of an image file, (H, W, 3), or (H, W, 1) for a gray picture if `keep_gray`.

    Args:
        path: the file; its contents, not its suffix, tell the format.
        keep_gray: leave a gray picture at one channel instead of repeating it.
        maximum_pixels: a larger picture is refused before memory is taken for it.

    Raises:
        DataError: the file is missing, empty, truncated, of another format, too large, or of a kind of pixel that
            has no defined meaning here; the text names the file and the reason.
    """
    try:
        # Opening a FIFO would wait for a writer.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise _RefusedError("not a regular file")
        if status.st_size == 0:
            raise _RefusedError("the file is empty")
        with open(path, "rb") as stream:
            return _decode(stream, keep_gray, maximum_pixels)
    except Exception as error:
        # A damaged file makes decoders fail in ways listed nowhere: OSError, SyntaxError, struct.error, ...
        raise DataError(f"'{printable(path)}': {_reason(error, maximum_pixels)}") from error


class _RefusedError(Exception):
    """The reason why a picture is refused."""


def _reason(error: Exception, maximum_pixels: int) -> str:
    match error:
        case _RefusedError():
            return str(error)
        case UnidentifiedImageError():
            return f"not an image of a known format ({', '.join(FORMATS)})"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"larger than the limit of {maximum_pixels} pixels"
        case OSError(strerror=str(reason)):
            return printable(reason)
        case OSError():
            # Decoders give no error number: the file could be read, and its contents are wrong.
            return f"truncated or damaged ({printable(str(error))}); remove or replace it"
        case _:
            return f"damaged ({type(error).__name__}: {printable(str(error))}); remove or replace it"


def _decode(stream: BinaryIO, keep_gray: bool, maximum_pixels: int) -> npt.NDArray[np.uint8]:
    with Image.open(stream, formats=FORMATS) as image:
        width, height = image.size
        if width * height > maximum_pixels:
            raise _RefusedError(f"{height}x{width} is larger than the limit of {maximum_pixels} pixels")
        image.load()
        orientation = _orientation(image)
        picture = _eight_bit(image)
    if keep_gray and picture.mode in ("1", "L", "LA", "La"):
        picture = _over_white(picture).convert("L")
    else:
        picture = _over_white(picture).convert("RGB")
    if orientation in _TRANSPOSITIONS:
        picture = picture.transpose(_TRANSPOSITIONS[orientation])
    pixels = np.asarray(picture)
    return pixels.reshape(*pixels.shape[:2], -1)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        # Pictures with unreadable EXIF data are common and their pixels are sound.
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """The picture with eight bits a sample; only gray pictures reach this point with more."""
    if image.mode == "F":
        raise _RefusedError("floating-point pixels have no defined range; store 8 or 16 bits a sample")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise _RefusedError("samples of more than 16 bits have no defined range; store 8 or 16 bits a sample")
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
