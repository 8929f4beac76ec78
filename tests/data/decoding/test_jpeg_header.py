from __future__ import annotations

import pytest
from PIL import Image

from gpunn.data.decoding.jpeg_header import JpegHeader, plain_jpeg_header
from tests.data.pictures import encoded, random_picture, turned

PIXELS = random_picture(1, 37, 53)
PLAIN = encoded(PIXELS, "JPEG")
FRAME = PLAIN.index(b"\xff\xc0")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"comment": b"\xff\xda\xff\xe1"}])
def test_a_plain_header_is_read(options: dict[str, object]) -> None:
    assert plain_jpeg_header(encoded(PIXELS, "JPEG", **options)) == JpegHeader(37, 53, 3)
    assert plain_jpeg_header(encoded(PIXELS[..., :1], "JPEG", **options)) == JpegHeader(37, 53, 1)


def with_byte(offset: int, value: int) -> bytes:
    return PLAIN[: FRAME + offset] + bytes([value]) + PLAIN[FRAME + offset + 1 :]


@pytest.mark.parametrize(
    "content",
    {
        "exif": encoded(PIXELS, "JPEG", exif=turned(6)),
        "xmp": encoded(PIXELS, "JPEG", xmp=b"<x/>"),
        "profile": encoded(PIXELS, "JPEG", icc_profile=b"profile"),
        "inks": encoded(Image.new("CMYK", (20, 20)), "JPEG"),
        "twelve bits": with_byte(4, 12),
        "two components": with_byte(9, 2),
        "lossless": with_byte(1, 0xC3),
        "arithmetic": with_byte(1, 0xC9),
        "two frames": PLAIN[:FRAME] + PLAIN[FRAME : FRAME + 19] * 2 + PLAIN[FRAME + 19 :],
        "no JFIF": PLAIN[:2] + PLAIN[20:].replace(b"\xff\xdb", b"\xff\xed", 1),
        "short JFIF": PLAIN[:2] + b"\xff\xe0\0\x07JFIF\0" + PLAIN[20:],
        "junk between segments": PLAIN[:20] + b"\0" + PLAIN[20:],
        "PNG": encoded(PIXELS, "PNG"),
        "nothing": b"",
        "start only": b"\xff\xd8",
    }.items(),
    ids=lambda item: item[0],
)
def test_nothing_is_said_of_other_files(content: tuple[str, bytes]) -> None:
    assert plain_jpeg_header(content[1]) is None


def test_nothing_is_said_of_a_header_that_ends_early() -> None:
    for kept in range(PLAIN.index(b"\xff\xda") + 10):
        assert plain_jpeg_header(PLAIN[:kept]) is None
