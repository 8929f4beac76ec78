"""Numbers of the command line."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number of 1 or more, as argparse's `type`.

    Raises:
        argparse.ArgumentTypeError: when it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
