"""Files damaged at random: nothing but DataError is raised, and the decoders agree on what they refuse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.data.decoding.picture import Decoder
from gpunn.errors import DataError
from tests.data.pictures import encoded, random_picture, smooth_picture, turned

RGB = smooth_picture(24, 31)
RGBA = Image.fromarray(random_picture(2, 24, 31, 4))
SOUND = {
    "JPEG": encoded(RGB, "JPEG"),
    "gray JPEG": encoded(RGB[..., :1], "JPEG"),
    "progressive JPEG": encoded(RGB, "JPEG", progressive=True),
    "JPEG with restarts": encoded(RGB, "JPEG", restart_marker_rows=1),
    "turned JPEG": encoded(RGB, "JPEG", exif=turned(6)),
    "JPEG of inks": encoded(RGBA.convert("CMYK"), "JPEG"),
    "PNG": encoded(RGB, "PNG"),
    "PNG of a palette": encoded(Image.fromarray(RGB).quantize(16), "PNG", transparency=3),
    "GIF": encoded(RGB, "GIF"),
    "WebP": encoded(RGB, "WEBP"),
    "lossless WebP": encoded(RGBA, "WEBP", lossless=True),
    "BMP": encoded(RGB, "BMP"),
    "TIFF": encoded(RGB, "TIFF"),
    "packed TIFF": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "PPM": encoded(RGB, "PPM"),
    "PPM as text": b"P3 4 4 255\n" + b" ".join(b"%d" % value for value in range(48)),
}
ROUNDS = 60


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """With up to three bytes changed, left out, put in, or with its end cut off; half of the time near its head."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        reach = len(changed) if random.random() < 0.5 else min(len(changed), 300)
        place = int(random.integers(reach))
        match random.integers(8):
            case 0:
                del changed[place : place + int(random.integers(1, 30))]
            case 1:
                changed[place:place] = random.integers(0, 256, random.integers(1, 20), np.uint8).tobytes()
            case 2:
                del changed[max(place, 1) :]
            case 3 | 4:
                changed[place] ^= 1 << int(random.integers(8))
            case _:
                changed[place] = random.integers(256)
    return bytes(changed)


def outcome(opener: Decoder, content: bytes) -> npt.NDArray[np.uint8] | None:
    try:
        picture = opener.open(content)
        pixels = picture.pixels()
        out = np.empty((6, 5, 3), np.uint8)
        picture.draw(out, (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])))
    except DataError:
        return None
    assert pixels.dtype == np.uint8
    assert pixels.shape == (*picture.size, picture.channels)
    return pixels


@pytest.mark.parametrize("kind", SOUND)
def test_damage_is_refused_or_survived_by_all_decoders_alike(kind: str) -> None:
    openers = [decoder(name) for name in DECODERS]
    assert all(outcome(opener, SOUND[kind]) is not None for opener in openers)
    random = np.random.default_rng(list(kind.encode()))
    refused = 0
    for _ in range(ROUNDS):
        content = damaged(SOUND[kind], random)
        first, *others = [outcome(opener, content) for opener in openers]
        refused += first is None
        for other in others:
            np.testing.assert_equal(other, first)
    assert refused > 0
