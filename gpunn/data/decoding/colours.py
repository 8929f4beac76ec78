"""How each way of storing a picture becomes uint8 gray or RGB.

- 16-bit samples keep their upper eight bits.
- Transparent pictures are laid over white; palettes, CMYK and other colour models become RGB.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from gpunn.errors import DataError

_GRAY_MODES = ("1", "L", "LA", "La", "I")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
_BAND_PIXELS = 1 << 18


def channels_of(image: Image.Image) -> int:
    """1 or 3, of a picture that has been opened and need not have been decoded.

    Raises:
        DataError: its kind of pixel has no defined meaning.
    """
    if image.mode in _GRAY_MODES or image.mode.startswith("I;16"):
        return 1
    if image.mode in _COLOUR_MODES:
        return 3
    if image.mode == "F":
        raise DataError("floating-point pixels have no defined range; store 8 or 16 bits a sample")
    raise DataError(f"pixels of the kind {image.mode} have no defined colours here; store it as RGB")


def defined(image: Image.Image) -> Image.Image:
    """A decoded picture in mode L or RGB; itself where it is in one of these.

    Beside the result's it takes little memory.

    Raises:
        DataError: the samples have no defined range.
    """
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    mode = "L" if channels_of(image) == 1 else "RGB"
    result = Image.new(mode, image.size)
    for top, band in bands(image):
        result.paste(_over_white(_eight_bit(band)).convert(mode), (0, top))
    return result


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """A picture in parts of some rows each, with the first row of each: what is made of one takes little memory."""
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def luma(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGB to gray, (H, W, 3) to (H, W, 1), by the weights of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B."""
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]


def _eight_bit(image: Image.Image) -> Image.Image:
    """The picture with eight bits a sample; only gray pictures reach this point with more."""
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
