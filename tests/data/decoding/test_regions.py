"""Only what a region reaches is decoded: whatever it shows is what the whole picture would have shown."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpunn.data.decoding.by_name import DECODERS, decoder
from gpunn.data.decoding.picture import Decoder
from gpunn.data.decoding.pillow import DecodedPicture, PillowDecoder
from gpunn.errors import DataError
from tests.data.decoding.test_damage import damaged
from tests.data.pictures import encoded, random_picture, turned

HEIGHT, WIDTH = 150, 200
PIXELS = random_picture(3, HEIGHT, WIDTH)
JPEGS = {
    "4:2:0": encoded(PIXELS, "JPEG"),
    "4:2:2": encoded(PIXELS, "JPEG", subsampling="4:2:2"),
    "4:4:4": encoded(PIXELS, "JPEG", subsampling="4:4:4"),
    "gray": encoded(PIXELS[..., :1], "JPEG"),
    "progressive": encoded(PIXELS, "JPEG", progressive=True),
    "restarts": encoded(PIXELS, "JPEG", restart_marker_rows=1),
    "turned": encoded(PIXELS, "JPEG", exif=turned(6)),
    "upside down": encoded(PIXELS, "JPEG", exif=turned(3)),
    "tall": encoded(random_picture(4, 3 * HEIGHT, HEIGHT), "JPEG"),
}
REGION = (15, 20, 3)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Regions inside a square that all of the pictures have room for."""
    (left, right), (top, bottom) = (
        sorted(
            draw(st.tuples(st.floats(0, HEIGHT), st.floats(0, HEIGHT)).filter(lambda ends: abs(ends[0] - ends[1]) > 1))
        )
        for _ in range(2)
    )
    return left, top, right, bottom


def drawn(opener: Decoder, content: bytes, box: tuple[float, float, float, float]) -> npt.NDArray[np.uint8]:
    out = np.empty(REGION, np.uint8)
    opener.open(content).draw(out, box)
    return out


@pytest.mark.parametrize("kind", JPEGS)
@given(box=boxes())
@settings(max_examples=40)
def test_a_region_is_that_of_the_whole_picture(kind: str, box: tuple[float, float, float, float]) -> None:
    # Opened carefully, all rows are decoded.
    expected = np.empty(REGION, np.uint8)
    PillowDecoder().opened(JPEGS[kind]).draw(expected, box)
    np.testing.assert_array_equal(drawn(PillowDecoder(), JPEGS[kind], box), expected)


@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4", "gray", "restarts"])
@pytest.mark.parametrize("bottom", [1.5, 14.0, 29.9, 61.0, 97.3, 130.0, 149.5])
def test_a_region_at_any_height_is_that_of_pillow(kind: str, bottom: float) -> None:
    box = (3.0, bottom / 3, 31.5, bottom)
    image = Image.open(BytesIO(JPEGS[kind])).resize(REGION[1::-1], Image.Resampling.BILINEAR, box)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(drawn(PillowDecoder(), JPEGS[kind], box), expected)


def test_a_larger_region_is_decoded_anew() -> None:
    picture = PillowDecoder().open(JPEGS["4:2:0"])
    out, expected = np.empty((2, *REGION), np.uint8)
    for bottom in (20.0, 140.0, 60.0):
        box = (0.0, 0.0, 35.0, bottom)
        picture.draw(out, box)
        DecodedPicture(Image.open(BytesIO(JPEGS["4:2:0"]))).draw(expected, box)
        np.testing.assert_array_equal(out, expected)


def test_what_a_region_does_not_reach_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    heights: list[int] = []

    class Counted(DecodedPicture):
        def __init__(self, image: Image.Image) -> None:
            heights.append(image.height)
            super().__init__(image)

    monkeypatch.setattr("gpunn.data.decoding.pillow.DecodedPicture", Counted)
    for kind in ("4:2:0", "progressive"):
        drawn(PillowDecoder(), JPEGS[kind], (0.0, 0.0, 30.0, 40.0))
    assert heights == [48, HEIGHT]


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("kind", ["4:2:0", "restarts", "turned"])
def test_a_file_cut_off_is_refused_whatever_is_drawn(name: str, kind: str) -> None:
    content = JPEGS[kind]
    with pytest.raises(DataError, match="truncated"):
        drawn(decoder(name), content[: len(content) * 9 // 10], (0.0, 0.0, 30.0, 30.0))


def test_damage_is_refused_or_survived_whatever_is_drawn() -> None:
    random = np.random.default_rng(5)
    box = (0.0, 0.0, 60.0, 40.0)
    refused = 0
    for _ in range(400):
        content = damaged(JPEGS["4:2:0"], random)
        expected = np.empty(REGION, np.uint8)
        try:
            PillowDecoder().opened(content).draw(expected, box)
        except DataError:
            refused += 1
            with pytest.raises(DataError):
                drawn(PillowDecoder(), content, box)
        except ValueError:  # The region is not in what the damage made of the picture.
            continue
        else:
            np.testing.assert_array_equal(drawn(PillowDecoder(), content, box), expected)
    assert 50 < refused < 350
