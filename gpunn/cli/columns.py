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
        worth: those with the largest are taken first.
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
        width: characters of a line, into which the one of the greatest worth is put even if it is wider; None has
            room for all.
    """
    filled = [column for column in columns if any(column.cells)]
    kept: list[Column] = []
    taken = -_GAP
    for column in sorted(filled, key=lambda column: column.worth, reverse=True):
        if width is None or not kept or taken + _GAP + column.width <= width:
            kept.append(column)
            taken += _GAP + column.width
    return [column for column in filled if column in kept], [column for column in filled if column not in kept]
