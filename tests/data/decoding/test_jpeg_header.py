from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from gpunn.data.decoding.jpeg_header import Frame, frame_of, has_end, plain_frame_of, shortened
from tests.data.pictures import encoded, random_picture, turned

PIXELS = random_picture(1, 37, 53)
PLAIN = encoded(PIXELS, "JPEG")
FRAME = PLAIN.index(b"\xff\xc0")


@pytest.mark.parametrize(
    ("options", "band", "sequential"),
    [
        ({}, 16, True),
        ({"progressive": True}, 16, False),
        ({"subsampling": "4:2:2"}, 8, True),
        ({"subsampling": "4:4:4"}, 8, True),
        ({"comment": b"\xff\xda\xff\xe1"}, 16, True),
    ],
)
def test_a_plain_frame_is_read(options: dict[str, Any], band: int, sequential: bool) -> None:
    colour, gray = encoded(PIXELS, "JPEG", **options), encoded(PIXELS[..., :1], "JPEG", **options)
    frame = plain_frame_of(colour)
    assert frame is not None
    assert frame[:5] == (37, 53, 3, band, sequential)
    assert colour[frame.offset : frame.offset + 4] == bytes([0, 37, 0, 53])
    assert frame.scan == colour.rindex(b"\xff\xda\0\x0c") + 14 or not sequential
    frame = plain_frame_of(gray)
    assert frame is not None
    assert frame[:5] == (37, 53, 1, 8, sequential)


@pytest.mark.parametrize("options", [{}, {"exif": turned(6)}, {"icc_profile": b"profile"}, {"xmp": b"<x/>"}])
def test_a_frame_is_found_between_segments_of_applications(options: dict[str, Any]) -> None:
    content = encoded(PIXELS, "JPEG", **options)
    offset, scan = content.index(b"\xff\xc0") + 5, content.index(b"\xff\xda") + 14
    assert frame_of(content) == Frame(37, 53, 3, 16, True, offset, scan)


def test_the_end_of_the_pixels_is_found() -> None:
    # A segment of tables may hold the same two bytes.
    content = PLAIN[:FRAME] + b"\xff\xfe\0\x04\xff\xd9" + PLAIN[FRAME:]
    frame = frame_of(content)
    assert frame is not None
    assert has_end(content, frame)
    assert has_end(content + b"more", frame)
    assert not has_end(content[:-1], frame)


def test_a_shortened_file_is_the_same_with_a_smaller_height() -> None:
    frame = frame_of(PLAIN)
    assert frame is not None
    shorter = shortened(PLAIN, frame, 16)
    assert Image.open(BytesIO(shorter)).size == (53, 16)
    assert [place for place, (old, new) in enumerate(zip(PLAIN, shorter, strict=True)) if old != new] == [FRAME + 6]


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
        "no rows": with_byte(6, 0),
        "not sampled": with_byte(11, 0x20),
        "a frame too short": with_byte(3, 14),
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
    assert plain_frame_of(content[1]) is None


def test_nothing_is_said_of_a_header_that_ends_early() -> None:
    for kept in range(PLAIN.index(b"\xff\xda")):
        assert plain_frame_of(PLAIN[:kept]) is None
