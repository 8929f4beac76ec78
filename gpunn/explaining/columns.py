"""Tables that leave out columns where a terminal is too narrow for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of text.

    Attributes:
        title: its first line.
        cells: one for each row.
        is_number: set to the right.
        worth: columns with the smallest are left out first.
    """

    title: str
    cells: tuple[str, ...]
    is_number: bool
    worth: int

    @property
    def width(self) -> int:
        """Of the widest cell."""
        return max(len(self.title), *map(len, self.cells)) if self.cells else len(self.title)


def fitting(columns: Sequence[Column], width: int | None) -> tuple[list[Column], list[Column]]:
    """The columns that fit beside each other, and those that are left out, each in their order.

    Args:
        columns: those whose cells are all empty are neither kept nor left out.
        width: characters of a line; None has room for all.
    """
    kept = [column for column in columns if any(column.cells)]
    left_out: list[Column] = []
    while width is not None and len(kept) > 1 and sum(column.width + _GAP for column in kept) - _GAP > width:
        least = min(kept, key=lambda column: column.worth)
        kept.remove(least)
        left_out.append(least)
    return kept, [column for column in columns if column in left_out]
