"""A bar in a terminal for commands that deal with one picture after another."""

from __future__ import annotations

from tqdm import tqdm


def picture_bar(task: str, pictures: int) -> tqdm[None]:
    """How many of the pictures are done; it goes away at the end, and without a terminal nothing is printed."""
    return tqdm(desc=task, total=pictures, unit=" images", leave=False, dynamic_ncols=True, disable=None)
