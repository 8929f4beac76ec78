"""Pages: names of files, writing them, captions, and the pictures of Grad-CAM over an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpunn.errors import UsageError
from gpunn.visualization.grad_cam_page import overlaid
from gpunn.visualization.page import Page, file_name, write_pages
from gpunn.visualization.run_view import class_number
from gpunn.visualization.sheet import Band, Sheet, Tile, enlarged, fitted, in_lines, png_of
from tests.visualization.samples import Array, pixels_of, places, squares


def colours(height: int, width: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_names_of_files_are_plain() -> None:
    assert file_name("grad-cam", "a dog/../x", "") == "grad-cam-a-dog-..-x.png"
    assert file_name("grad-cam", "Füße", "\n") == "grad-cam-Füße-n.png"
    assert len(file_name("activations", "x" * 255)) < 100


def test_pages_are_written_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    for content in (b"first", b"second"):
        written = list(write_pages([Page("a.png", content), Page("b.png", content)], folder))
        assert written == [folder / "a.png", folder / "b.png"]
        assert [path.read_bytes() for path in written] == [content, content]
    assert sorted(folder.iterdir()) == written


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot make the folder '.*file/pictures': Not a directory; give another"):
        list(write_pages([Page("a.png", b"")], tmp_path / "file" / "pictures"))


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UsageError, match=r"cannot write '.*a\.png': Is a directory; .*another folder with --out"):
        list(write_pages([Page("a.png", b"")], tmp_path))


@pytest.mark.parametrize(("size", "side"), [((3, 4), 60), ((5, 5), 64), ((28, 28), 168)])
def test_small_pictures_keep_their_pixels_as_squares(size: tuple[int, int], side: int) -> None:
    picture = colours(*size)
    np.testing.assert_array_equal(enlarged(picture, side), squares(picture, round(side / max(size))))


@pytest.mark.parametrize("size", [(5, 3), (96, 96), (13, 13), (224, 112)])
def test_fitted_pictures_have_their_longer_side_and_mean(size: tuple[int, int]) -> None:
    picture = colours(*size)
    found = fitted(picture, 96)
    assert max(found.shape[:2]) == 96
    assert found.mean(axis=(0, 1)) == pytest.approx(picture.mean(axis=(0, 1)), abs=1.5)
    if 96 % max(size) == 0 and size[0] == size[1]:
        np.testing.assert_array_equal(found, squares(picture, 96 // size[0]))


def test_a_sheet_has_its_pictures_in_rows() -> None:
    pictures = [squares(colours(2, 2) + np.uint8(k), 20) for k in range(5)]
    sheet = Sheet("title", ("line",), [Band("heading", [Tile(one, ("caption",)) for one in pictures], 3)])
    page = pixels_of(png_of(sheet))
    corners = [places(page, one) for one in pictures]
    assert [len(found) for found in corners] == [1] * 5
    rows, columns = zip(*(found[0] for found in corners), strict=True)
    assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4]
    assert columns[0] == columns[3] < columns[1] == columns[4] < columns[2]


def test_captions_keep_both_ends() -> None:
    text = "/a/long/path/to/a/picture.jpg"
    assert in_lines(text, 2000, 1) == (text,)
    (short,) = in_lines(text, 100, 1)
    beginning, end = short.split("\N{HORIZONTAL ELLIPSIS}")
    assert text.startswith(beginning)
    assert text.endswith(end)
    assert 0 <= len(end) - len(beginning) <= 1
    assert len(in_lines(text, 60, 1)[0]) < len(short) < len(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("taken for 0003-slant-waves-azure", ("taken for 0003-slant-waves-", "azure")),
        ("image 155 of the validation digits", ("image 155 of the validation", "digits")),
        ("pictures/val/0000-disc-plain-red/00012.jpg", ("pictures/val/0000-disc-plain-", "red/00012.jpg")),
        ("a" * 40, None),
        ("", ("",)),
    ],
)
def test_captions_that_are_too_wide_go_on_in_a_second_line(text: str, lines: tuple[str, ...] | None) -> None:
    found = in_lines(text, 192, 2)
    assert lines in (found, None)
    assert len(found) <= 2
    assert "".join(found).replace(" ", "") == text.replace(" ", "")


def test_a_caption_that_two_lines_do_not_hold_keeps_both_ends() -> None:
    text = f"/a/folder/{'of/many/folders/' * 6}0003-slant-waves-azure/000012.jpg"
    found = in_lines(text, 192, 2)
    assert len(found) == 2
    assert found[0].startswith("/a/folder/")
    assert found[1].endswith("azure/000012.jpg")


def test_the_map_hides_the_image_where_it_is_large() -> None:
    """Grey at 70% where the map is zero; where it is one, a fifth of that and the brightest colour of the map."""
    picture = np.full((1, 2, 3), (30, 60, 90), np.uint8)
    found = overlaid(picture, np.array([[0.0, 1.0]]))
    assert found[0, 0].tolist() == [42, 42, 42]
    brightest = np.array([252, 255, 164])
    np.testing.assert_allclose(found[0, 1], 0.2 * 42 + 0.8 * brightest, atol=1.5)


def test_a_class_is_found_by_name_or_number() -> None:
    """A name goes before a number: digits are classes whose names are numbers."""
    classes = ("two", "1", "0")
    assert [class_number(classes, wanted) for wanted in ("two", "1", "0", "2")] == [0, 1, 2, 2]
    for wanted in ("3", "-1", "three", "", "²"):
        with pytest.raises(UsageError, match=f"no class {wanted!r}; give a name .two, 1, 0. or a number from 0 to 2"):
            class_number(classes, wanted)
    with pytest.raises(UsageError, match=r"\(c0, c1, .*c11, \.\.\.\) or a number from 0 to 99"):
        class_number(tuple(f"c{k}" for k in range(100)), "none")
