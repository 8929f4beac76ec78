"""Does a checkpoint fit a network? The answer is a table that a person can read."""

from __future__ import annotations

from collections.abc import Mapping

Shape = tuple[int, ...]

_ROWS_SHOWN = 40


def compare_tensors(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> str | None:
    """A table of the tensors that are missing, unexpected or differently shaped, or None when all fit.

    Args:
        expected: name and shape of each tensor of the network.
        found: name and shape of each tensor of the checkpoint.
    """
    rows = [
        *_rows("different shape", [name for name in expected if found.get(name, expected[name]) != expected[name]]),
        *_rows("missing", [name for name in expected if name not in found]),
        *_rows("unexpected", [name for name in found if name not in expected]),
    ]
    if not rows:
        return None
    table = [("tensor", "network", "checkpoint", "")]
    for name, difference in rows[:_ROWS_SHOWN]:
        table.append((_printable(name), _size(expected.get(name)), _size(found.get(name)), difference))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    if len(rows) > _ROWS_SHOWN:
        lines.append(f"and {len(rows) - _ROWS_SHOWN} more")
    return "\n".join(lines)


def _rows(difference: str, names: list[str]) -> list[tuple[str, str]]:
    return [(name, difference) for name in names]


def _size(shape: Shape | None) -> str:
    if shape is None:
        return "-"
    return "x".join(map(str, shape)) if shape else "scalar"


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)
