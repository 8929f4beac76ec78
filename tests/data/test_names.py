from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpunn.data.names import counted, printable, unquoted


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain name.jpg", "plain name.jpg"),
        ("Füße 猫.png".encode(), "Füße 猫.png"),
        (b"a\xff\xfeb", "a\\xff\\xfeb"),
        (b"two\nlines\t\x1b[31m", "two\\nlines\\t\\x1b[31m"),
        ("left\u202eright".encode(), "left\\u202eright"),
    ],
)
def test_bytes_become_one_printable_line(raw: bytes, text: str) -> None:
    assert printable(raw) == text


def test_text_with_undecodable_bytes_reads_like_the_bytes() -> None:
    raw = b"odd\xff\n\xc3\xa9"
    as_text = raw.decode("utf-8", "surrogateescape")
    assert printable(as_text) == printable(raw) == "odd\\xff\\né"
    assert printable(Path(as_text)) == printable(raw)
    assert printable(os.path.join("folder", as_text)) == "folder/odd\\xff\\né"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("'val/it's.jpg'", "val/it's.jpg"),
        ("''odd''", "'odd'"),
        ("image 3 of 'a.npz'", "image 3 of 'a.npz'"),
        ("'", "'"),
        ("", ""),
    ],
)
def test_only_the_quotes_around_the_whole_are_taken_off(name: str, text: str) -> None:
    assert unquoted(name) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 classes"), (1, "1 class"), (2, "2 classes"), (1000, "1,000 classes")]
)
def test_one_is_not_several(count: int, text: str) -> None:
    assert counted(count, "class", "classes") == text
