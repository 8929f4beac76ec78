"""Small image files whose headers claim other sizes than they hold."""

from __future__ import annotations

import struct

from tests.data.pictures import encoded, png, random_picture

RGB = random_picture(1, 20, 30)
JPEG = encoded(RGB, "JPEG")
FRAME = JPEG.index(b"\xff\xc0")


def jpeg_claiming(height: int, width: int) -> bytes:
    return JPEG[: FRAME + 5] + struct.pack(">HH", height, width) + JPEG[FRAME + 9 :]


def tiff_claiming(height: int, width: int) -> bytes:
    content = bytearray(encoded(RGB, "TIFF"))
    directory = struct.unpack_from("<I", content, 4)[0]
    for entry in range(directory + 2, directory + 2 + 12 * struct.unpack_from("<H", content, directory)[0], 12):
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in (256, 257):
            struct.pack_into("<HHII", content, entry, tag, 4, 1, {256: width, 257: height}[tag])
    return bytes(content)


def gif_claiming(height: int, width: int) -> bytes:
    content = encoded(RGB, "GIF")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def webp_claiming(height: int, width: int) -> bytes:
    content = encoded(RGB, "WEBP")
    start = content.index(b"\x9d\x01\x2a") + 3
    return content[:start] + struct.pack("<HH", width, height) + content[start + 4 :]


def bmp_claiming(height: int, width: int) -> bytes:
    content = encoded(RGB, "BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


CLAIMS = {
    "JPEG": jpeg_claiming,
    "TIFF": tiff_claiming,
    "GIF": gif_claiming,
    "WEBP": webp_claiming,
    "BMP": bmp_claiming,
    "PNG": lambda height, width: png(width, height, 8, 2, b""),
    "PPM": lambda height, width: b"P6 %d %d 255\n" % (width, height),
}
