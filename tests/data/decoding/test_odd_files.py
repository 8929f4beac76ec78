"""Files that are rare, odd or damaged: each decoder gives the pixels that are defined, or refuses with the reason."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import warnings
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, PngImagePlugin

from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.data.decoding.picture import Decoder
from gpunn.errors import DataError
from tests.data.decoding.claims import CLAIMS, jpeg_claiming, webp_claiming
from tests.data.pictures import encoded, png, png_chunk, random_picture, smooth_picture

RGB = random_picture(1, 20, 30)
JPEG = encoded(RGB, "JPEG")
FRAME = JPEG.index(b"\xff\xc0")


@pytest.fixture(params=DECODERS)
def opener(request: pytest.FixtureRequest) -> Decoder:
    return decoder(str(request.param))


def reason(opener: Decoder, content: bytes) -> str:
    with pytest.raises(DataError) as refusal:
        opener.open(content).pixels()
    return str(refusal.value)


@pytest.mark.parametrize("kind", CLAIMS)
def test_headers_that_claim_too_much_are_refused(opener: Decoder, kind: str) -> None:
    side = 16_000 if kind == "WEBP" else 20_000
    assert "larger than the limit of" in reason(opener, CLAIMS[kind](side, side))
    # Pillow warns of this size, and warnings are errors here.
    assert "larger than the limit of" in reason(opener, CLAIMS[kind](10_000, 10_000))


def test_webp_is_allowed_half_as_many_pixels(opener: Decoder) -> None:
    assert "limit of 40000000 pixels" in reason(opener, webp_claiming(8000, 8000))


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not an image of a known format"),
    "page": (b"<!DOCTYPE html><html></html>", "not an image of a known format"),
    "zeros before": (bytes(10) + JPEG, "not an image of a known format"),
    "JPEG of 12 bits": (JPEG[: FRAME + 4] + b"\x0c" + JPEG[FRAME + 5 :], "a kind of JPEG that cannot be read"),
    "JPEG without height": (jpeg_claiming(0, 30), "header is damaged"),
    "JPEG, start only": (JPEG[:2] + b"\xff\xd9", "header is damaged"),
    "JPEG ends in a table": (JPEG[:100], "truncated"),
    "JPEG ends before its pixels": (JPEG[: JPEG.index(b"\xff\xda")], "damaged"),
    "JPEG ends in its pixels": (JPEG[:-100], "truncated"),
    "progressive ends": (encoded(RGB, "JPEG", progressive=True)[:-30], "truncated"),
    "inks end": (encoded(Image.new("CMYK", (64, 64), (9, 8, 7, 6)), "JPEG")[:-9], "truncated"),
    "PNG, signature only": (b"\x89PNG\r\n\x1a\n", "header is damaged"),
    "PNG ends in its pixels": (encoded(RGB, "PNG")[:-60], "truncated"),
    "PNG with a wrong checksum": (encoded(RGB, "PNG").replace(b"IDAT", b"IDAT\0", 1), "damaged"),
    "WebP ends": (encoded(RGB, "WEBP")[:-20], "truncated or damaged"),
    "TIFF ends": (encoded(RGB, "TIFF")[:-300], "damaged"),
    "BMP ends": (encoded(RGB, "BMP")[:-5], "truncated"),
    "PPM ends": (encoded(RGB, "PPM")[:-5], "truncated"),
    "Lab": (encoded(Image.new("LAB", (4, 3)), "TIFF"), "kind LAB have no defined colours"),
    "floating point": (encoded(Image.new("F", (4, 3)), "TIFF"), "floating-point"),
    "floating-point PFM": (b"Pf 2 1 -1.0\n" + struct.pack("<2f", 0.5, 0.25), "floating-point"),
    "more than 16 bits": (encoded(Image.new("I", (4, 3), 70_000), "TIFF"), "more than 16 bits"),
    "negative": (encoded(Image.new("I", (4, 3), -1), "TIFF"), "no defined range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_defined_pixels_is_refused_with_the_reason(opener: Decoder, name: str) -> None:
    content, words = REFUSED[name]
    assert words in reason(opener, content)


def jpeg_with(marker: int, content: bytes) -> bytes:
    return JPEG[:20] + b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content + JPEG[20:]


def with_text(**options: Any) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("note", "x" * 3_000_000, **options)
    return encoded(RGB, "PNG", pnginfo=texts)


def interlaced_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Adam7 (PNG specification, section 8): seven pictures, each of every so many rows and columns from a start."""
    height, width, _ = pixels.shape
    passes = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
    scanlines = b"".join(
        b"\0" + row.tobytes()
        for top, down, left, across in passes
        for row in pixels[top::down, left::across]
        if row.size
    )
    content = png(width, height, 8, 2, scanlines)
    header = content[16:28] + b"\1"
    return content[:8] + png_chunk(b"IHDR", header) + content[33:]


FROM_JPEG = np.asarray(Image.open(BytesIO(JPEG)))
SOUND: dict[str, tuple[bytes, npt.NDArray[np.uint8]]] = {
    "bytes after a JPEG": (JPEG + b"junk\xff\xd8\xff" * 50, FROM_JPEG),
    "two JPEGs": (JPEG + JPEG, FROM_JPEG),
    "zeros in a comment": (jpeg_with(0xFE, bytes(500)), FROM_JPEG),
    "zeros between segments": (JPEG[:20] + bytes(8) + JPEG[20:], FROM_JPEG),
    "large profile in a JPEG": (encoded(RGB, "JPEG", icc_profile=b"x" * 3_000_000), FROM_JPEG),
    "large EXIF data": (jpeg_with(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 60_000), FROM_JPEG),
    "EXIF data of rubbish": (jpeg_with(0xE1, b"Exif\0\0rubbish"), FROM_JPEG),
    "EXIF data that end": (jpeg_with(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), FROM_JPEG),
    "EXIF data of several pictures": (
        encoded(RGB, "MPO", save_all=True, append_images=[Image.new("RGB", (30, 20))]),
        FROM_JPEG,
    ),
    "bytes after a PNG": (encoded(RGB, "PNG") + b"junk" * 50, RGB),
    "bytes after a GIF": (encoded(RGB[..., :1], "GIF") + b"junk" * 50, np.repeat(RGB[..., :1], 3, axis=2)),
    "large text in a PNG": (with_text(), RGB),
    "large packed text in a PNG": (with_text(zip=True), RGB),
    "large profile in a PNG": (encoded(RGB, "PNG", icc_profile=b"x" * 3_000_000), RGB),
    "interlaced PNG": (interlaced_png(RGB), RGB),
    "narrow interlaced PNG": (interlaced_png(RGB[:, :1]), RGB[:, :1]),
    "animated PNG": (encoded(RGB, "PNG", save_all=True, append_images=[Image.new("RGB", (30, 20))]), RGB),
    "animated WebP": (
        encoded(RGB, "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", (30, 20))]),
        RGB,
    ),
    "TIFF of two pages": (encoded(RGB, "TIFF", save_all=True, append_images=[Image.new("RGB", (5, 5))]), RGB),
    "packed TIFF": (encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "BMP of 32 bits": (encoded(Image.fromarray(RGB).convert("RGBA"), "BMP"), RGB),
    "one bit": (encoded(Image.fromarray(RGB[..., 0] > 99), "PNG"), (RGB[..., :1] > 99).astype(np.uint8) * 255),
    "PBM as text": (b"P1 2 1\n1 0", np.array([[[0], [255]]], np.uint8)),
    "PGM of 10 bits": (b"P5 2 1 1023\n" + struct.pack(">2H", 1023, 0), np.array([[[255], [0]]], np.uint8)),
    "PPM of 16 bits": (
        b"P6 1 1 65535\n" + struct.pack(">3H", 0x1234, 0x5678, 0xFFFF),
        np.array([[[0x12, 0x56, 0xFF]]], np.uint8),
    ),
    "PNG of 16 bits with alpha": (
        png(1, 1, 16, 6, b"\0" + struct.pack(">4H", 0x1234, 0x5678, 0x9ABC, 0xFFFF)),
        np.array([[[0x12, 0x56, 0x9A]]], np.uint8),
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_odd_files_that_are_sound_are_read(opener: Decoder, name: str) -> None:
    content, expected = SOUND[name]
    np.testing.assert_array_equal(opener.open(content).pixels(), expected)


def test_the_first_of_several_pictures_is_decoded_smaller_like_any_jpeg(opener: Decoder) -> None:
    pixels = smooth_picture(160, 240)
    several = encoded(pixels, "MPO", save_all=True, append_images=[Image.new("RGB", (240, 160))])
    shown, expected = np.empty((2, 20, 30, 3), np.uint8)
    opener.open(several).draw(shown, (0.0, 0.0, 240.0, 160.0))
    opener.open(encoded(pixels, "JPEG")).draw(expected, (0.0, 0.0, 240.0, 160.0))
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_gray_declared_transparent_is_white_at_every_depth(opener: Decoder, depth: int) -> None:
    largest = (1 << depth) - 1
    for transparent in {0, largest // 2, largest}:
        # Two pixels: the transparent one, and another.
        samples = (transparent, largest - transparent if largest != 2 * transparent else 0)
        row = b"".join(bits.to_bytes(1, "big") for bits in _packed(samples, depth))
        picture = opener.open(png(2, 1, depth, 0, b"\0" + row, png_chunk(b"tRNS", struct.pack(">H", transparent))))
        assert picture.pixels()[0, :, 0].tolist() == [255, samples[1] * 255 // largest]


def _packed(samples: tuple[int, int], depth: int) -> list[int]:
    if depth == 8:
        return list(samples)
    return [samples[0] << (8 - depth) | samples[1] << (8 - 2 * depth)]


def test_a_colour_declared_transparent_is_white(opener: Decoder) -> None:
    key = struct.pack(">3H", 10, 20, 30)
    picture = opener.open(png(2, 1, 8, 2, b"\0" + bytes([10, 20, 30, 10, 20, 31]), png_chunk(b"tRNS", key)))
    assert picture.pixels().tolist() == [[[255, 255, 255], [10, 20, 31]]]
    key = struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
    samples = struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0x1334, 0x5678, 0x9ABC)
    picture = opener.open(png(2, 1, 16, 2, b"\0" + samples, png_chunk(b"tRNS", key)))
    assert picture.pixels().tolist() == [[[255, 255, 255], [0x13, 0x56, 0x9A]]]


def test_inks_stored_inverted_are_inks(opener: Decoder) -> None:
    # Photoshop and Pillow store 255 - ink, and say so in an Adobe segment.
    content = encoded(Image.new("CMYK", (16, 16), (255, 0, 100, 0)), "JPEG", quality=95)
    assert b"Adobe" in content
    assert np.abs(opener.open(content).pixels().astype(int) - [0, 255, 155]).max() <= 4


def test_luma_and_chroma_of_a_tiff_become_colours(opener: Decoder) -> None:
    pixels = smooth_picture(20, 30)
    content = encoded(Image.fromarray(pixels).convert("YCbCr"), "TIFF")
    assert np.abs(opener.open(content).pixels().astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bit_tiffs_keep_their_upper_eight(opener: Decoder, big_endian: bool) -> None:
    samples = np.arange(0, 60_000, 2_000).reshape(5, 6).astype(np.uint16)
    image = Image.frombytes("I;16B", (6, 5), samples.astype(">u2").tobytes()) if big_endian else samples
    content = encoded(image if isinstance(image, Image.Image) else Image.fromarray(image), "TIFF")
    np.testing.assert_array_equal(opener.open(content).pixels()[..., 0], samples >> 8)


def test_large_pictures_that_have_to_be_converted_are_converted_whole(opener: Decoder) -> None:
    # More than are converted at a time, with a transparent colour in the palette.
    entries = (np.arange(1500 * 900) * 7 % 251 % 16).reshape(1500, 900).astype(np.uint8)
    palette = random_picture(3, 1, 16)[0]
    image = Image.fromarray(entries)
    image.putpalette(palette.tobytes())
    expected = palette.copy()
    expected[5] = 255
    content = encoded(image, "PNG", transparency=5, compress_level=1)
    np.testing.assert_array_equal(opener.open(content).pixels(), expected[entries])


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 2), (7, 9)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_shape_can_be_drawn(opener: Decoder, kind: str, size: tuple[int, int]) -> None:
    picture = opener.open(encoded(np.full((*size, 3), 130, np.uint8), kind))
    for target in ((1, 1), (8, 5), (224, 224)):
        out = np.zeros((*target, 3), np.uint8)
        picture.draw(out, (0.0, 0.0, float(size[1]), float(size[0])))
        assert np.abs(out.astype(int) - 130).max() <= 2


def test_pixels_are_not_decoded_until_they_are_asked_for(opener: Decoder) -> None:
    picture = opener.open(JPEG[:-200])
    assert picture.size == (20, 30)
    assert picture.channels == 3
    for _ in range(2):
        with pytest.raises(DataError, match="truncated"):
            picture.draw(np.empty((8, 8, 3), np.uint8), (0.0, 0.0, 30.0, 20.0))


def test_what_pillow_logs_of_a_refused_file_reaches_no_terminal() -> None:
    """In a process of its own, where nobody listens to logs."""
    stream = BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "TIFF")
    content = bytearray(stream.getvalue())
    samples_per_pixel = content.index(struct.pack("<HHL", 277, 3, 1))
    content[samples_per_pixel + 8 : samples_per_pixel + 10] = struct.pack("<H", 32764)
    script = (
        "import sys; from gpunn.data.decoding.by_name import decoder; from gpunn.errors import DataError\n"
        "try: decoder('pillow').open(sys.stdin.buffer.read())\n"
        "except DataError: print('refused')"
    )
    run = subprocess.run([sys.executable, "-c", script], input=bytes(content), capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (b"refused\n", b"")


def test_pillow_s_warnings_are_not_passed_on_in_another_process_either(opener: Decoder) -> None:
    content = jpeg_with(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        Image.open(BytesIO(content)).getexif()
    packed = pickle.dumps(opener)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(packed).open(content).pixels().shape == (20, 30, 3)
