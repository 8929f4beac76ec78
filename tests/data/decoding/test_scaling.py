"""Every decoder scales as the formula has it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.data.decoding.picture import Box, Picture
from tests.data.decoding.reference import scaled
from tests.data.decoding.uprighting import UPRIGHT_FROM_STORED
from tests.data.pictures import encoded, random_picture, smooth_picture, turned

# Rounded to a whole number twice, between and after the two directions: half a level each. Weights are rounded, too.
LEVELS = 1.05


@pytest.fixture(params=DECODERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def drawn(picture: Picture, height: int, width: int, channels: int, box: Box) -> npt.NDArray[np.uint8]:
    out = np.full((height, width, channels), 77, np.uint8)
    picture.draw(out, box)
    return out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "out", "box"),
    [
        ((31, 43), (10, 12), (0.0, 0.0, 43.0, 31.0)),
        ((31, 43), (10, 12), (3.7, 2.2, 39.1, 30.9)),
        ((31, 43), (40, 60), (5.25, 6.5, 20.75, 21.0)),
        ((31, 43), (9, 50), (0.0, 0.0, 43.0, 31.0)),
        ((31, 43), (7, 7), (42.0, 30.0, 43.0, 31.0)),
        ((31, 43), (31, 43), (0.5, 0.5, 42.5, 30.5)),
        ((1, 1), (5, 6), (0.0, 0.0, 1.0, 1.0)),
        ((700, 1), (3, 4), (0.0, 0.0, 1.0, 700.0)),
        ((2, 900), (5, 5), (0.0, 0.0, 900.0, 2.0)),
        ((33, 47), (1, 1), (0.0, 0.0, 47.0, 33.0)),
    ],
)
def test_scaling_is_antialiased_and_bilinear(
    name: str, size: tuple[int, int], out: tuple[int, int], box: Box, channels: int
) -> None:
    for pixels in (
        random_picture(1, *size, channels),
        # Black and white: nothing stands between the extremes.
        (random_picture(2, *size, channels) // 128 * 255).astype(np.uint8),
    ):
        found = drawn(decoder(name).picture(pixels), *out, channels, box)
        assert np.abs(found - scaled(pixels, *out, box)).max() <= LEVELS


def test_a_whole_picture_of_the_right_size_is_copied(name: str) -> None:
    pixels = random_picture(3, 9, 11)
    whole = (0.0, 0.0, 11.0, 9.0)
    np.testing.assert_array_equal(drawn(decoder(name).picture(pixels), 9, 11, 3, whole), pixels)
    picture = decoder(name).open(encoded(pixels, "PNG"))
    np.testing.assert_array_equal(drawn(picture, 9, 11, 3, whole), pixels)
    np.testing.assert_array_equal(decoder(name).picture(pixels).pixels(), pixels)


def test_an_edge_that_rounding_moved_outside_is_put_back(name: str) -> None:
    pixels = random_picture(3, 9, 11)
    box = (-1e-12, -1e-12, 11.0 + 1e-12, 9.0 + 1e-12)
    expected = scaled(pixels, 4, 4, (0.0, 0.0, 11.0, 9.0))
    assert np.abs(drawn(decoder(name).picture(pixels), 4, 4, 3, box) - expected).max() <= LEVELS


def test_gray_is_repeated_and_colours_become_luma(name: str) -> None:
    box = (1.0, 1.0, 10.0, 8.0)
    gray, colours = random_picture(4, 9, 11, 1), random_picture(5, 9, 11)
    repeated = np.repeat(scaled(gray, 4, 5, box), 3, axis=2)
    luma = scaled(colours, 4, 5, box) @ np.array([0.299, 0.587, 0.114])
    for open_picture in (decoder(name).picture, lambda pixels: decoder(name).open(encoded(pixels, "PNG"))):
        assert np.abs(drawn(open_picture(gray), 4, 5, 3, box) - repeated).max() <= LEVELS
        # Luma is rounded before it is scaled.
        assert np.abs(drawn(open_picture(colours), 4, 5, 1, box)[..., 0] - luma).max() <= LEVELS + 0.5


@pytest.mark.parametrize("tag", UPRIGHT_FROM_STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_regions_of_turned_pictures_are_those_of_the_upright_one(name: str, kind: str, tag: int) -> None:
    stored = random_picture(6, 23, 31)
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decoder(name).open(encoded(stored, kind, exif=turned(tag), **options))
    upright = UPRIGHT_FROM_STORED[tag](stored)
    assert picture.size == upright.shape[:2]
    box = (1.5, 3.25, 17.0, 20.0)
    assert np.abs(drawn(picture, 8, 13, 3, box) - scaled(upright, 8, 13, box)).max() <= LEVELS
    np.testing.assert_array_equal(picture.pixels(), upright)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("tag", UPRIGHT_FROM_STORED)
@pytest.mark.parametrize("target", [(120, 90), (50, 40), (30, 30), (12, 17)])
def test_jpegs_decoded_smaller_show_the_same_region(
    name: str, target: tuple[int, int], tag: int, channels: int
) -> None:
    # No multiple of a block in either direction: the smaller picture's last pixels lie half outside.
    pixels = smooth_picture(251, 203, channels)
    picture = decoder(name).open(encoded(pixels, "JPEG", quality=98, subsampling=0, exif=turned(tag)))
    upright = UPRIGHT_FROM_STORED[tag](pixels)
    height, width = picture.size
    for box in ((0.0, 0.0, float(width), float(height)), (5.5, 9.25, width - 11.0, height - 3.5)):
        found = drawn(picture, *target, channels, box)
        assert np.abs(found - scaled(upright, *target, box)).max() <= 4


def test_what_was_drawn_before_does_not_matter(name: str) -> None:
    content = encoded(random_picture(7, 90, 130), "JPEG")
    boxes = [(0.0, 0.0, 130.0, 90.0), (10.0, 5.0, 40.0, 31.0), (3.0, 2.0, 100.0, 80.0)]
    first = [drawn(decoder(name).open(content), 16, 16, 3, box) for box in boxes]
    picture = decoder(name).open(content)
    for box, expected in [*zip(boxes, first, strict=True), *reversed(list(zip(boxes, first, strict=True)))]:
        np.testing.assert_array_equal(drawn(picture, 16, 16, 3, box), expected)
    np.testing.assert_array_equal(picture.pixels(), decoder(name).open(content).pixels())
