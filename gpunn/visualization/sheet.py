"""A page of small pictures with captions, in bands with headings."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gpunn.visualization.colours import Pixels

_MARGIN = 24
_GAP = 10
_INK = (34, 34, 34)
_FAINT = (100, 100, 100)
_FRAME = (190, 190, 190)
_CROSS = (150, 150, 150)
_TITLE, _HEADING, _TEXT, _CAPTION = 22, 15, 14, 12
_MINIMUM_WIDTH = 560
#: That one text of a caption may take.
_CAPTION_LINES = 2


@dataclass(frozen=True)
class Tile:
    """One small picture.

    Attributes:
        pixels: (H, W, 3), as large as they are drawn.
        caption: texts below it, each on a line of its own; on two, shortened in its middle if need be, where it is
            wider than the picture.
        crossed: there is nothing to see in it.
    """

    pixels: Pixels
    caption: tuple[str, ...] = ()
    crossed: bool = False


@dataclass(frozen=True)
class Band:
    """Pictures side by side, as many in a row as `columns` says, under a heading; an empty heading takes no room."""

    heading: str
    tiles: Sequence[Tile]
    columns: int


@dataclass(frozen=True)
class Sheet:
    """A page: a title, lines that explain it, and bands of pictures."""

    title: str
    lines: tuple[str, ...]
    bands: Sequence[Band]


def enlarged(pixels: Pixels, side: int) -> Pixels:
    """Small pictures by a whole factor, every pixel a square, so that the longer side comes near to `side`; larger ones
    as `fitted`."""
    longer = max(pixels.shape[:2])
    return _repeated(pixels, max(1, round(side / longer))) if longer <= side else fitted(pixels, side)


def fitted(pixels: Pixels, side: int) -> Pixels:
    """Pictures of any size with `side` pixels on the longer side, by averages; pixels of small ones stay squares."""
    longer = max(pixels.shape[:2])
    height, width = (max(1, round(extent * side / longer)) for extent in pixels.shape[:2])
    repeated = Image.fromarray(_repeated(pixels, max(1, -(-side // longer))))
    return np.asarray(repeated.resize((width, height), Image.Resampling.BOX))


def _repeated(pixels: Pixels, factor: int) -> Pixels:
    return np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def png_of(sheet: Sheet) -> bytes:
    """The page as a PNG file."""
    written = io.BytesIO()
    _draw(sheet).save(written, "PNG")
    return written.getvalue()


def _draw(sheet: Sheet) -> Image.Image:
    grids = [_Grid(band) for band in sheet.bands]
    texts = [_font(_TITLE, bold=True).getlength(sheet.title)]
    texts += [_font(_TEXT).getlength(line) for line in sheet.lines]
    texts += [_font(_HEADING).getlength(grid.band.heading) for grid in grids]
    width = max(_MINIMUM_WIDTH, round(max(texts)) + 1, *(grid.width for grid in grids))
    head = _TITLE + 14 + len(sheet.lines) * (_TEXT + 6)
    page = Image.new("RGB", (width + 2 * _MARGIN, 2 * _MARGIN + head + sum(grid.height for grid in grids)), "white")
    pen = ImageDraw.Draw(page)
    pen.text((_MARGIN, _MARGIN), sheet.title, _INK, _font(_TITLE, bold=True))
    y = _MARGIN + _TITLE + 14
    for line in sheet.lines:
        pen.text((_MARGIN, y), line, _FAINT, _font(_TEXT))
        y += _TEXT + 6
    for grid in grids:
        grid.draw(page, pen, y)
        y += grid.height
    return page


class _Grid:
    """Where everything of a band lies."""

    def __init__(self, band: Band) -> None:
        self.band = band
        sizes = [tile.pixels.shape for tile in band.tiles]
        self._across = max((size[1] for size in sizes), default=0)
        self._captions = [list(_caption_lines(tile, self._across)) for tile in band.tiles]
        lines = max(map(len, self._captions), default=0)
        self._cell = (
            max((size[0] for size in sizes), default=0) + lines * (_CAPTION + 4) + _GAP + (4 if lines else 0),
            self._across + _GAP,
        )
        self._head = _HEADING + 2 * _GAP if band.heading else _GAP
        rows = -(-len(band.tiles) // band.columns)
        self.width = min(band.columns, len(band.tiles)) * self._cell[1]
        self.height = self._head + rows * self._cell[0]

    def draw(self, page: Image.Image, pen: ImageDraw.ImageDraw, top: int) -> None:
        """Put the band on the page, its upper edge at `top`."""
        pen.text((_MARGIN, top + _GAP), self.band.heading, _INK, _font(_HEADING))
        for number, (tile, caption) in enumerate(zip(self.band.tiles, self._captions, strict=True)):
            row, column = divmod(number, self.band.columns)
            left, upper = _MARGIN + column * self._cell[1], top + self._head + row * self._cell[0]
            page.paste(Image.fromarray(tile.pixels), (left, upper))
            _frame(pen, tile, (left, upper))
            upper += tile.pixels.shape[0] + 4
            for place, (line, ink) in enumerate(caption):
                pen.text((left, upper + place * (_CAPTION + 4)), line, ink, _font(_CAPTION))


def _caption_lines(tile: Tile, width: int) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """The lines below a picture, each with its colour."""
    for place, text in enumerate(tile.caption):
        for line in in_lines(text, width, _CAPTION_LINES):
            yield line, _FAINT if place else _INK


def _frame(pen: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int]) -> None:
    left, upper = corner
    height, width = tile.pixels.shape[:2]
    pen.rectangle((left - 1, upper - 1, left + width, upper + height), outline=_FRAME)
    if tile.crossed:
        pen.line((left, upper, left + width - 1, upper + height - 1), _CROSS)
        pen.line((left, upper + height - 1, left + width - 1, upper), _CROSS)


def in_lines(text: str, width: int, most: int) -> tuple[str, ...]:
    """A caption as lines that are no wider than `width` pixels: of one too long, as much as fits of both its ends.

    Lines end where a word or a part of a path or a name does, unless that part alone is too wide.

    Args:
        text: on one line.
        width: in pixels, wider than any character.
        most: lines.
    """
    kept, lines = len(text), _broken(text, width)
    while len(lines) > most and kept > 1:
        kept -= 1
        cut = f"{text[: kept // 2]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (kept - kept // 2) :]}"
        lines = _broken(cut, width)
    return tuple(lines)


def _broken(text: str, width: int) -> list[str]:
    font = _font(_CAPTION)
    lines = [""]
    for part in re.findall(r"[^ /_-]*(?:[ /_-]|$)", text):
        if font.getlength(f"{lines[-1]}{part}".rstrip()) <= width:
            lines[-1] += part
            continue
        lines.append("")
        for character in part:
            if font.getlength(f"{lines[-1]}{character}") > width:
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines if line] or [""]


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    from matplotlib import get_data_path

    file = Path(get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(file, size)
