"""Rows that share a line where there are too many to be seen at once."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.explaining.explanation import Row


def folded(rows: Sequence[Row], count: int) -> tuple[Row, ...]:
    """No more than `count` rows, as far as phases allow, which stay apart; none of the calls is lost.

    Those neighbours that take the least time together, at their floors, become one row first, called after its ends.
    """
    kept, names = list(rows), [(row.layer, row.layer) for row in rows]
    while len(kept) > count:
        pairs = [place for place in range(len(kept) - 1) if kept[place].phase == kept[place + 1].phase]
        if not pairs:
            break
        place = min(pairs, key=lambda place: kept[place].floor_ms + kept[place + 1].floor_ms)
        names[place : place + 2] = [(names[place][0], names[place + 1][1])]
        kept[place : place + 2] = [_joined(kept[place], kept[place + 1], " to ".join(names[place]))]
    return tuple(kept)


def _joined(first: Row, second: Row, layer: str) -> Row:
    times = first.measured_ms, second.measured_ms
    known = [time for time in times if time is not None]
    return Row(layer, first.phase, (*first.calls, *second.calls), sum(known) if len(known) == len(times) else None)
