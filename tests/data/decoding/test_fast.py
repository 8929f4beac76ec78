from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from gpunn.data.decoding import fast
from gpunn.data.decoding.fast import FastDecoder
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.errors import DataError
from tests.data.pictures import encoded, random_picture, turned

PIXELS = random_picture(1, 70, 93)
JPEGS = {
    "4:2:0": encoded(PIXELS, "JPEG"),
    "4:4:4": encoded(PIXELS, "JPEG", subsampling=0),
    "progressive": encoded(PIXELS, "JPEG", progressive=True),
    "gray": encoded(PIXELS[..., :1], "JPEG"),
    "restarts": encoded(PIXELS, "JPEG", restart_marker_rows=1),
    "comment": encoded(PIXELS, "JPEG", comment=b"a comment"),
    "profile": encoded(PIXELS, "JPEG", icc_profile=b"profile" * 20),
    "turned": encoded(PIXELS, "JPEG", exif=turned(6)),
}
OTHERS = {
    "inks": encoded(Image.frombytes("CMYK", (31, 23), random_picture(2, 23, 31, 4).tobytes()), "JPEG"),
    "PNG": encoded(PIXELS, "PNG"),
    "WebP": encoded(PIXELS, "WEBP"),
    "GIF": encoded(PIXELS, "GIF"),
}


class Calls:
    """simplejpeg, counted."""

    def __init__(self, decode: Callable[..., Any]) -> None:
        self.number = 0
        self._decode = decode

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.number += 1
        return self._decode(*arguments, **options)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    counted = Calls(simplejpeg.decode_jpeg)
    monkeypatch.setattr(fast.simplejpeg, "decode_jpeg", counted)
    return counted


@pytest.mark.parametrize("kind", [kind for kind in JPEGS if kind != "turned"])
def test_unscaled_jpegs_are_those_of_pillow(kind: str, calls: Calls) -> None:
    expected = np.asarray(Image.open(BytesIO(JPEGS[kind])))
    picture = FastDecoder().open(JPEGS[kind])
    np.testing.assert_array_equal(picture.pixels(), expected.reshape(70, 93, -1))
    assert picture.size == (70, 93)
    assert picture.channels == (1 if kind == "gray" else 3)
    assert calls.number == 1


@pytest.mark.parametrize("kind", JPEGS)
def test_regions_are_within_a_level_of_pillow_s(kind: str, calls: Calls) -> None:
    careful, quick = PillowDecoder().open(JPEGS[kind]), FastDecoder().open(JPEGS[kind])
    assert quick.size == careful.size
    for box in ((0.0, 0.0, 70.0, 70.0), (3.25, 8.5, 66.0, 50.75), (20.0, 21.0, 25.5, 29.0)):
        for side in (8, 24, 64):
            expected, out = np.zeros((side, side, 3), np.uint8), np.ones((side, side, 3), np.uint8)
            careful.draw(expected, box)
            quick.draw(out, box)
            assert np.abs(out.astype(int) - expected).max() <= 1
    assert calls.number > 0


@pytest.mark.parametrize("kind", OTHERS)
def test_pillow_reads_what_simplejpeg_does_not(kind: str, calls: Calls) -> None:
    np.testing.assert_array_equal(
        FastDecoder().open(OTHERS[kind]).pixels(), PillowDecoder().open(OTHERS[kind]).pixels()
    )
    assert calls.number == 0


def test_a_picture_drawn_twice_is_decoded_once(calls: Calls) -> None:
    picture = FastDecoder().open(JPEGS["4:2:0"])
    out = np.empty((40, 40, 3), np.uint8)
    picture.draw(out, (0.0, 0.0, 50.0, 50.0))
    picture.draw(out, (9.0, 8.0, 60.0, 65.0))
    assert calls.number == 1


def test_damage_is_told_in_the_words_of_pillow() -> None:
    for content in (JPEGS["4:2:0"][:-400], JPEGS["progressive"][:-2], JPEGS["4:2:0"][:150], JPEGS["gray"][:300]):
        with pytest.raises(DataError) as careful:
            PillowDecoder().open(content).pixels()
        with pytest.raises(DataError) as quick:
            FastDecoder().open(content).pixels()
        assert str(quick.value) == str(careful.value)


def test_what_simplejpeg_only_warns_of_pillow_decides() -> None:
    content = JPEGS["4:2:0"]
    # Bytes that belong nowhere, between two segments: a warning to libjpeg.
    start = content.index(b"\xff\xdb")
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(content[:start] + b"\0\0\0" + content[start:])
    np.testing.assert_array_equal(
        FastDecoder().open(content[:start] + b"\0\0\0" + content[start:]).pixels(),
        np.asarray(Image.open(BytesIO(content))),
    )


def test_the_limit_on_pixels_holds_for_plain_jpegs() -> None:
    FastDecoder(70 * 93).open(JPEGS["4:2:0"])
    with pytest.raises(DataError, match="70x93 is larger than the limit of 6509 pixels"):
        FastDecoder(70 * 93 - 1).open(JPEGS["4:2:0"])


def test_threads_that_share_a_decoder_draw_the_same() -> None:
    decoder = FastDecoder()

    def drawn(number: int) -> bytes:
        out = np.empty((20, 20, 3), np.uint8)
        decoder.open(JPEGS["4:4:4"]).draw(out, (float(number), 0.0, 40.0 + number, 60.0))
        return out.tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(drawn, [*range(20)] * 5)) == [drawn(number) for number in range(20)] * 5
