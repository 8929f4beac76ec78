"""Image files of every odd kind: sound ones whose pixels are defined, and ones that no decoder can read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from tests.data.pictures import png, png_chunk, random_picture


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(seed: int, mode: str = "RGB", height: int = 40, width: int = 56) -> Image.Image:
    return Image.fromarray(random_picture(seed, height, width)).convert(mode)


def sound_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of files that can be read, all different."""
    yield "plain.jpg", encode(picture(0), "JPEG")
    yield "gray.jpg", encode(picture(1, "L"), "JPEG")
    yield "cmyk.jpg", encode(picture(2, "CMYK"), "JPEG")
    yield "progressive.jpeg", encode(picture(3), "JPEG", progressive=True)
    yield "subsampled.jpg", encode(picture(4), "JPEG", subsampling=2, quality=30)
    yield "capitals.JPG", encode(picture(5), "JPEG")
    yield "trailing.jpg", encode(picture(6), "JPEG") + b"\0" * 100 + b"<html>"
    yield "png-called.jpg", encode(picture(7), "PNG")
    yield "jpeg-called.png", encode(picture(8), "JPEG")
    yield "one-pixel.png", encode(picture(9, height=1, width=1), "PNG")
    yield "tall.png", encode(picture(10, height=5000, width=1), "PNG")
    yield "wide.jpg", encode(picture(11, height=1, width=5000), "JPEG")
    yield "interlaced.png", _interlaced_png()
    yield "sixteen.png", png(3, 2, 16, 0, b"".join(b"\0" + bytes(range(row, row + 6)) for row in range(2)))
    yield "colour-key.png", png(2, 2, 8, 2, bytes(14), png_chunk(b"tRNS", bytes(6)))
    for seed, mode in enumerate(("1", "LA", "P", "RGBA"), start=20):
        yield f"mode-{mode}.png", encode(picture(seed, mode), "PNG")
    for seed, mode in enumerate(("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr"), start=30):
        yield f"mode-{mode}.tiff", encode(picture(seed, mode), "TIFF")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"turned-{orientation}.jpg", encode(picture(40 + orientation), "JPEG", exif=exif)
    yield "odd-exif.jpg", encode(picture(50), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    yield "profile.jpg", encode(picture(51), "JPEG", icc_profile=bytes(200_000))
    yield "comment.png", encode(picture(52), "PNG", pnginfo=None) + b"after the end"
    frames = [picture(seed, "P") for seed in (60, 61, 62)]
    yield "animated.gif", encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "still.gif", encode(picture(63, "P"), "GIF")
    yield "still.webp", encode(picture(64), "WEBP")
    yield "alpha.webp", encode(picture(65, "RGBA"), "WEBP", lossless=True)
    yield "animated.webp", encode(picture(66), "WEBP", save_all=True, append_images=[picture(67)])
    yield "pages.tif", encode(picture(68), "TIFF", save_all=True, append_images=[picture(69)])
    yield "plain.bmp", encode(picture(70), "BMP")
    yield "palette.bmp", encode(picture(71, "P"), "BMP")
    yield "plain.ppm", encode(picture(72), "PPM")
    yield "gray.pgm", encode(picture(73, "L"), "PPM")
    yield "text.ppm", b"P3\n# a comment\n2 1\n255\n255 0 0  0 0 255\n"


def damaged_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of files that must be refused."""
    jpeg = encode(picture(100), "JPEG")
    yield "half.jpg", jpeg[: len(jpeg) // 2]
    yield "header-only.jpg", jpeg[: jpeg.index(b"\xff\xda")]
    yield "start-only.jpg", jpeg[:2]
    yield "cut-in-header.jpg", jpeg[:30]
    progressive = encode(picture(101), "JPEG", progressive=True)
    yield "half-progressive.jpg", progressive[: len(progressive) // 2]
    yield "empty.jpg", b""
    yield "empty.png", b""
    yield "page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    yield "text.jpeg", b"not a picture\n" * 100
    yield "zeros.jpg", bytes(10_000)
    yield "noise.jpg", np.random.default_rng(0).bytes(10_000)
    yield "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "document.jpg", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n"
    yield "archive.jpg", b"PK\x03\x04" + bytes(100)
    yield "icon.png", encode(picture(102, height=32, width=32), "ICO")
    yield "vector.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    whole = encode(picture(103), "PNG")
    yield "half.png", whole[: len(whole) // 2]
    yield "signature.png", whole[:8]
    yield "header.png", whole[:33]
    yield "no-pixels.png", png(0, 4, 8, 2, b"")
    yield "bomb.png", png(20_000, 20_000, 8, 0, bytes(10))
    yield "bomb.gif", b"GIF89a" + struct.pack("<HHBBB", 65_000, 65_000, 0, 0, 0) + b"\x2c" + bytes(20)
    yield "bomb.bmp", _bmp_header(20_000, 20_000)
    yield "bomb.ppm", b"P6\n30000 30000\n255\n" + bytes(100)
    yield "bomb.jpg", _with_jpeg_size(jpeg, 60_000, 60_000)
    whole = encode(picture(104), "WEBP")
    yield "half.webp", whole[: len(whole) // 2]
    whole = encode(picture(105, "P"), "GIF")
    yield "half.gif", whole[: len(whole) // 3]
    whole = encode(picture(106), "TIFF")
    yield "half.tif", whole[: len(whole) // 2]
    whole = encode(picture(107), "BMP")
    yield "half.bmp", whole[: len(whole) // 2]
    yield "half.ppm", encode(picture(108), "PPM")[:200]
    yield "letters.ppm", b"P6\nwide high\n255\n"
    yield "fractions.tif", encode(Image.fromarray(np.full((3, 4), 0.5, np.float32)), "TIFF")
    yield "long.tif", encode(Image.fromarray(np.full((3, 4), 1 << 20, np.int32)), "TIFF")


def _interlaced_png() -> bytes:
    """1x1: the first pass of Adam7 has its only pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0\x10\x20\x30"))
        + png_chunk(b"IEND", b"")
    )


def _bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def _with_jpeg_size(whole: bytes, height: int, width: int) -> bytes:
    """A JPEG that claims another size."""
    place = whole.index(b"\xff\xc0") + 5
    return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]
