"""The worst mistakes of a run on one page."""

from __future__ import annotations

import csv
import io

from gpunn.data.dataset import Dataset
from gpunn.data.names import counted, unquoted
from gpunn.visualization.mistakes import Examination, Mistake
from gpunn.visualization.page import Page, file_name
from gpunn.visualization.sheet import Band, Sheet, Tile, enlarged, png_of

#: Mistakes on a page, unless more are wanted.
MISTAKES = 24
_SIDE = 192
_COLUMNS = 6


def mistakes_page(examination: Examination, classes: tuple[str, ...], dataset: Dataset, network: str) -> Page:
    """The images of the worst mistakes, each with what it was taken for, what it is, and its name.

    Args:
        examination: what was found.
        classes: their names.
        dataset: names the images.
        network: its name.
    """
    worst = list(zip(examination.mistakes, examination.pictures, strict=False))
    tiles = [Tile(enlarged(picture, _SIDE), _caption(one, classes, dataset)) for one, picture in worst]
    share = 1 - examination.wrong / examination.images
    lines = [f"{examination.wrong:,} of {counted(examination.images, 'image', 'images')} wrong: top-1 {share:.2%}."]
    if worst:
        which = f"the {len(worst)} worst" if len(worst) < examination.wrong else "all of them"
        lines[0] += f" Here: {which}, the largest loss first."
        lines.append("Below an image: what the network takes it for, what it is, how sure the network is, its name.")
    title = f"{network}: the worst mistakes" if worst else f"{network}: no mistakes"
    sheet = Sheet(title, tuple(lines), [Band("", tiles, _COLUMNS)])
    return Page(file_name("errors"), png_of(sheet))


def _caption(one: Mistake, classes: tuple[str, ...], dataset: Dataset) -> tuple[str, ...]:
    return (
        f"taken for {classes[one.predicted]}",
        f"is {classes[one.label]}",
        f"{one.probability:.1%} sure, loss {one.loss:.2f}",
        unquoted(dataset.name(one.index)),
    )


def mistakes_table(examination: Examination, classes: tuple[str, ...], dataset: Dataset) -> Page:
    """All mistakes as a CSV file, with whole names, the largest loss first.

    A file's name is its path as the data set was opened with, without quotes, escaped as `gpunn.data.names.printable`
    says where it holds bytes that are not UTF-8 or do not print.
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(("image", "class", "taken_for", "probability", "loss"))
    for one in examination.mistakes:
        figures = (f"{one.probability:.6f}", f"{one.loss:.6f}")
        table.writerow((unquoted(dataset.name(one.index)), classes[one.label], classes[one.predicted], *figures))
    return Page("errors.csv", written.getvalue().encode())
