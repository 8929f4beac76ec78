from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gpunn.data.decoding.decode import decode_rgb
from gpunn.data.decoding.file import read_file
from gpunn.data.decoding.pillow import MAXIMUM_PIXELS, PillowDecoder
from gpunn.errors import DataError
from tests.data.decoding.uprighting import UPRIGHT_FROM_STORED
from tests.data.pictures import png, png_chunk, random_picture, write_jpeg

RGB = random_picture(1, 5, 7)
GRAY = random_picture(2, 5, 7, 1)


def decode(path: Path) -> npt.NDArray[np.uint8]:
    """As RGB."""
    return decode_rgb(read_file(path))


def decode_as_stored(path: Path, maximum_pixels: int = MAXIMUM_PIXELS) -> npt.NDArray[np.uint8]:
    """Gray or RGB."""
    return PillowDecoder(maximum_pixels).open(read_file(path)).pixels()


def reason(path: Path, maximum_pixels: int = MAXIMUM_PIXELS) -> str:
    with pytest.raises(DataError) as refusal:
        decode_as_stored(path, maximum_pixels)
    return str(refusal.value)


def over_white(colours: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    part = alpha.astype(np.float64)[..., np.newaxis] / 255
    return colours * part + 255 * (1 - part)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_formats_give_the_pixels_they_were_given(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(RGB).save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = decode(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RGB)


def test_a_jpeg_is_near_its_source(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:24, 0:32]
    smooth = np.stack([rows * 8, columns * 6, 255 - rows * 4], axis=2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(decode(tmp_path / "a.jpg").astype(int) - smooth).mean() < 3


def test_the_contents_tell_the_format_not_the_suffix(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), RGB)


def test_gray_is_repeated_unless_it_may_stay(tmp_path: Path) -> None:
    Image.fromarray(GRAY[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), np.repeat(GRAY, 3, axis=2))
    np.testing.assert_array_equal(decode_as_stored(tmp_path / "a.png"), GRAY)
    Image.fromarray(RGB).save(tmp_path / "b.png")
    np.testing.assert_array_equal(decode_as_stored(tmp_path / "b.png"), RGB)


def test_one_bit_pictures_are_black_and_white(tmp_path: Path) -> None:
    bits = GRAY[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode_as_stored(tmp_path / "a.png")[..., 0], np.where(bits, 255, 0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    palette = random_picture(3, 1, 16)[0]
    entries = (GRAY[..., 0] % 16).astype(np.uint8)
    picture = Image.fromarray(entries)
    picture.putpalette(palette.tobytes())
    for suffix in ("png", "gif"):
        picture.save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(decode(tmp_path / f"a.{suffix}"), palette[entries])


def test_transparent_palette_entries_are_white(tmp_path: Path) -> None:
    palette = random_picture(3, 1, 16)[0]
    alpha = random_picture(4, 1, 16, 1)[0, :, 0]
    entries = (GRAY[..., 0] % 16).astype(np.uint8)
    scanlines = b"".join(b"\0" + row.tobytes() for row in entries)
    extra = png_chunk(b"PLTE", palette.tobytes()) + png_chunk(b"tRNS", alpha.tobytes())
    (tmp_path / "a.png").write_bytes(png(7, 5, 8, 3, scanlines, extra))
    expected = over_white(palette, alpha)[entries]
    assert np.abs(decode(tmp_path / "a.png") - expected).max() <= 1


def test_alpha_lies_over_white_and_hides_colours(tmp_path: Path) -> None:
    alpha = random_picture(4, 5, 7, 1)
    alpha[0], alpha[1] = 0, 255
    Image.fromarray(np.concatenate([RGB, alpha], axis=2)).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png")
    assert np.abs(pixels - over_white(RGB, alpha[..., 0])).max() <= 1
    assert (pixels[0] == 255).all()
    np.testing.assert_array_equal(pixels[1], RGB[1])


def test_gray_with_alpha_lies_over_white(tmp_path: Path) -> None:
    alpha = random_picture(4, 5, 7, 1)
    Image.fromarray(np.concatenate([GRAY, alpha], axis=2)).save(tmp_path / "a.png")
    pixels = decode_as_stored(tmp_path / "a.png")
    assert pixels.shape == (5, 7, 1)
    assert np.abs(pixels - over_white(GRAY, alpha[..., 0])).max() <= 1


def test_a_gray_value_declared_transparent_is_white(tmp_path: Path) -> None:
    for depth, stored in ((8, np.uint8), (16, np.dtype(">u2"))):
        samples = GRAY[..., 0].astype(int) * (250 if depth == 16 else 1)
        samples[2, 3] = 77
        scanlines = b"".join(b"\0" + row.astype(stored).tobytes() for row in samples)
        content = png(7, 5, depth, 0, scanlines, png_chunk(b"tRNS", struct.pack(">H", 77)))
        (tmp_path / "a.png").write_bytes(content)
        pixels = decode(tmp_path / "a.png")
        visible = samples != 77
        np.testing.assert_array_equal(pixels[~visible], 255)
        np.testing.assert_array_equal(pixels[visible][:, 0], samples[visible] >> (depth - 8))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = random_picture(5, 5, 7, 4)
    Image.frombytes("CMYK", (7, 5), inks.tobytes()).save(tmp_path / "a.tif")
    cyan_magenta_yellow, black = inks[..., :3].astype(float), inks[..., 3:].astype(float)
    expected = (255 - cyan_magenta_yellow) * (255 - black) / 255
    assert np.abs(decode(tmp_path / "a.tif") - expected).max() <= 1.5
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "b.jpg")
    assert np.abs(decode(tmp_path / "b.jpg").astype(int) - [0, 255, 255]).max() <= 4


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    samples = np.random.default_rng(6).integers(0, 65536, (5, 7), dtype=np.uint16)
    samples[0, :2] = (0, 65535)
    big_endian = samples.astype(">u2")
    scanlines = b"".join(b"\0" + row.tobytes() for row in big_endian)
    (tmp_path / "gray.png").write_bytes(png(7, 5, 16, 0, scanlines))
    (tmp_path / "gray.pgm").write_bytes(b"P5 7 5 65535\n" + big_endian.tobytes())
    Image.fromarray(samples).save(tmp_path / "gray.tif")
    for name in ("gray.png", "gray.pgm", "gray.tif"):
        pixels = decode(tmp_path / name)
        np.testing.assert_array_equal(pixels, np.repeat(samples[..., np.newaxis] // 256, 3, axis=2), name)
        assert decode_as_stored(tmp_path / name).shape == (5, 7, 1)


def test_sixteen_bit_colours_keep_their_upper_eight(tmp_path: Path) -> None:
    samples = np.random.default_rng(6).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    scanlines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    (tmp_path / "a.png").write_bytes(png(7, 5, 16, 2, scanlines))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), samples // 256)


def test_samples_without_a_defined_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GRAY[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((3, 3), 70000, np.int32)).save(tmp_path / "wide.tif")
    assert "floating-point" in reason(tmp_path / "float.tif")
    assert "16 bits" in reason(tmp_path / "wide.tif")


@pytest.mark.parametrize("orientation", UPRIGHT_FROM_STORED)
def test_the_camera_s_rotation_is_carried_out(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = UPRIGHT_FROM_STORED[orientation](RGB)
    stored = Image.fromarray(RGB)
    stored.save(tmp_path / "a.png", exif=exif)
    stored.save(tmp_path / "a.webp", exif=exif, lossless=True)
    stored.save(tmp_path / "a.tif", exif=exif)
    for name in ("a.png", "a.webp", "a.tif"):
        np.testing.assert_array_equal(decode(tmp_path / name), upright, name)
    stored.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg").shape == upright.shape


def test_unreadable_exif_data_does_not_cost_the_picture(tmp_path: Path) -> None:
    for number, exif in enumerate(
        (b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    ):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(RGB).save(path, exif=exif)
        assert decode(path).shape == RGB.shape


def test_the_first_picture_of_an_animation_is_taken(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (4, 3), "blue")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(tmp_path / "a.gif"), np.full((3, 4, 3), (255, 0, 0)))


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    Image.new("L", (1, 1), 9).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png").tolist() == [[[9, 9, 9]]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "ppm"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(random_picture(7, 64, 64)).save(path)
    content = path.read_bytes()
    for kept in (len(content) // 2, len(content) // 4, 20):
        path.write_bytes(content[:kept])
        assert reason(path)


def test_a_jpeg_that_opens_and_then_ends_is_called_truncated(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", 0, 64, 64)
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) * 3 // 4])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.size == (64, 64)
    assert "truncated" in reason(tmp_path / "a.jpg")


def test_files_that_are_no_pictures_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html><body>404</body></html>")
    (tmp_path / "folder.jpg").mkdir()
    assert "the file is empty" in reason(tmp_path / "empty.jpg")
    assert "not an image of a known format (JPEG, PNG" in reason(tmp_path / "page.jpg")
    assert "not a regular file" in reason(tmp_path / "folder.jpg")
    assert "No such file" in reason(tmp_path / "absent.jpg")


@pytest.mark.parametrize("foreign", ["ICO", "PCX", "TGA", "EPS", "PDF", "SGI"])
def test_formats_that_are_not_listed_are_not_opened(tmp_path: Path, foreign: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(random_picture(7, 16, 16)).save(path, format=foreign)
    assert "known format" in reason(path)


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert "not a regular file" in reason(tmp_path / "a.jpg")


@pytest.mark.parametrize("side", [20_000, 13_400, 9_500, 8_945])
def test_a_pixel_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    assert side * side > MAXIMUM_PIXELS
    # There are no pixels in the file: had decoding begun, it would be called truncated.
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2, b""))
    assert f"limit of {MAXIMUM_PIXELS} pixels" in reason(tmp_path / "bomb.png")


def test_the_limit_on_pixels_can_be_set(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert decode_as_stored(tmp_path / "a.png", maximum_pixels=35).shape == (5, 7, 3)
    assert "5x7 is larger than the limit of 34 pixels" in reason(tmp_path / "a.png", maximum_pixels=34)
