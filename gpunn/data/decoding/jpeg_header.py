"""The header of a JPEG that holds nothing beside its pixels: read in a tenth of the time that Pillow needs."""

from __future__ import annotations

from typing import NamedTuple

_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended sequential and progressive, all Huffman-coded."""
_JFIF = 0xE0
_TABLES_AND_COMMENTS = (0xDB, 0xC4, 0xDD, 0xFE)
"""Quantisation and Huffman tables, restart interval, comment."""


class JpegHeader(NamedTuple):
    """Height and width as stored, and the number of components."""

    height: int
    width: int
    components: int


def plain_jpeg_header(encoded: bytes) -> JpegHeader | None:
    """The header of a JPEG of 8-bit gray or YCbCr, whose segments are those of JFIF (ITU-T T.871) and no others.

    None is said of everything else: other formats, damaged headers, and files with segments of applications, which
    may turn the picture, change the meaning of its components, or be damaged in a way that counts.
    """
    if not encoded.startswith(_START_OF_IMAGE):
        return None
    header: JpegHeader | None = None
    # Each segment: 0xFF, marker, length of the rest in two bytes, the rest (ITU-T T.81, B.1.1.4).
    position, end = 2, len(encoded) - 10
    while position < end:
        marker = encoded[position + 1]
        if encoded[position] != 0xFF:
            return None
        if marker == _START_OF_SCAN:
            return header
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        if marker in _FRAMES:
            frame = encoded[position + 4 : position + 10]
            if header is not None or frame[0] != 8 or frame[5] not in (1, 3):
                return None
            header = JpegHeader(int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5])
        elif marker == _JFIF:
            if length < 16 or encoded[position + 4 : position + 9] != b"JFIF\0":
                return None
        elif marker not in _TABLES_AND_COMMENTS:
            return None
        position += 2 + length
    return None
