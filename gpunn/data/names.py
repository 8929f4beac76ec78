"""Names and numbers in messages: names on a disk are bytes, and any byte but zero and slash may be in them."""

from __future__ import annotations

import os


def printable(name: str | bytes | os.PathLike[str]) -> str:
    """`name` on one line of printable text: what is not UTF-8 and what does not print is escaped.

    The result is the same under every locale, so it can stand in messages and as the name of a class.
    """
    raw = os.fspath(name)
    encoded = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    text = encoded.decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def unquoted(name: str) -> str:
    """The name that a data set gives a picture, as a table has it: of a path, without the quotes around the whole."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == "'" else name


def counted(count: int, one: str, several: str) -> str:
    """ "1 class" or "2,000 classes"."""
    return f"{count:,} {one if count == 1 else several}"
