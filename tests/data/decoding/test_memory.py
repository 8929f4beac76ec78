"""How much memory a picture takes at its peak, in bytes a pixel, as the kernel counts it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.errors import DataError
from tests.data.decoding.claims import CLAIMS
from tests.data.pictures import encoded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux's /proc")

SIDE = 2400
"""Several times what is converted at a time."""
BANDS = 24_000_000
"""What the steps in between and the allocators may take beside the whole picture, however large it is."""


def peak_of(action: Callable[[], object]) -> int:
    """How many bytes the process grows by at most while this is done."""
    gc.collect()
    # What malloc has kept of the work before would be used now, and not be counted.
    ctypes.CDLL(None).malloc_trim(0)
    # 5 resets the peak (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before = _kibibytes("VmRSS")
    action()
    return (_kibibytes("VmHWM") - before) * 1024


def _kibibytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def large(kind: str) -> bytes:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    gray = Image.fromarray(((rows >> 4) ^ (columns >> 5)).astype(np.uint8))
    match kind:
        case "JPEG":
            return encoded(Image.merge("RGB", [gray] * 3), "JPEG")
        case "progressive JPEG":
            return encoded(Image.merge("RGB", [gray] * 3), "JPEG", progressive=True, subsampling=0)
        case "JPEG of inks":
            return encoded(Image.merge("CMYK", [gray] * 4), "JPEG")
        case "transparent PNG":
            return encoded(Image.merge("RGBA", [gray] * 4), "PNG", compress_level=1)
        case "PNG of a palette":
            gray.putpalette(bytes(range(256)) * 3)
            return encoded(gray, "PNG", compress_level=1, transparency=bytes(range(256)))
        case "PNG of 16 bits":
            return encoded(Image.fromarray(np.asarray(gray).astype(np.uint16) * 250), "PNG", compress_level=1)
    return encoded(Image.merge("RGB", [gray] * 3), "WEBP", method=0)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    ("kind", "bytes_a_pixel"),
    [
        ("JPEG", 8),
        ("progressive JPEG", 10.5),
        ("JPEG of inks", 9),
        ("transparent PNG", 9),
        ("PNG of a palette", 8),
        ("PNG of 16 bits", 4),
        # Allowed only half as many pixels.
        ("WebP", 17),
    ],
)
def test_a_picture_takes_no_more_memory_than_is_said(kind: str, bytes_a_pixel: float, name: str) -> None:
    content = large(kind)
    opener = decoder(name)
    assert peak_of(lambda: opener.open(content).pixels()) < bytes_a_pixel * SIDE * SIDE + BANDS


@pytest.mark.parametrize("name", DECODERS)
def test_a_jpeg_that_is_drawn_small_takes_the_memory_of_a_small_one(name: str) -> None:
    content = large("JPEG")
    opener = decoder(name)
    out = np.empty((224, 224, 3), np.uint8)
    drawing = peak_of(lambda: opener.open(content).draw(out, (0.0, 0.0, float(SIDE), float(SIDE))))
    assert drawing < SIDE * SIDE


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("kind", CLAIMS)
def test_what_is_refused_for_its_size_takes_no_memory(kind: str, name: str) -> None:
    content = CLAIMS[kind](16_000, 16_000)
    opener = decoder(name)

    def refused() -> None:
        with pytest.raises(DataError, match="larger than the limit"):
            opener.open(content).pixels()

    assert peak_of(refused) < 20_000_000
