"""Rows that share a line."""

from __future__ import annotations

from gpunn.explaining.explanation import ExplainedCall, Phase, Row
from gpunn.explaining.folding import folded


def row(layer: str, phase: Phase, floor_ms: float, measured_ms: float | None = None) -> Row:
    call = ExplainedCall(layer, phase, "copy", "copy", 0, 0, 0, 0.0, floor_ms)
    return Row(layer, phase, (call,), measured_ms)


ROWS = (
    row("input", "forward", 5.0, 6.0),
    row("conv1", "forward", 9.0, 10.0),
    row("pool1", "forward", 2.0, 3.0),
    row("drop", "forward", 0.5, 1.0),
    row("fc", "forward", 1.0, 2.0),
    row("loss", "loss", 0.1),
    row("fc", "backward", 0.2, 0.4),
    row("conv1", "backward", 8.0, 9.0),
)


def names(rows: tuple[Row, ...]) -> list[tuple[str, str]]:
    return [(one.layer, one.phase) for one in rows]


def test_rows_that_fit_stay_as_they_are() -> None:
    assert folded(ROWS, 8) == folded(ROWS, 100) == ROWS


def test_neighbours_that_take_the_least_together_are_first() -> None:
    """0.5 and 1 before 2 and 0.5; then 2 and those 1.5 before 5 and 9."""
    seven = folded(ROWS, 7)
    assert names(seven)[2:5] == [("pool1", "forward"), ("drop to fc", "forward"), ("loss", "loss")]
    six = folded(ROWS, 6)
    assert names(six)[:4] == [
        ("input", "forward"), ("conv1", "forward"), ("pool1 to fc", "forward"), ("loss", "loss")
    ]  # fmt: skip
    assert six[2].floor_ms == 3.5
    assert six[2].measured_ms == 6.0
    assert [call for one in six for call in one.calls] == [call for one in ROWS for call in one.calls]


def test_phases_stay_apart() -> None:
    assert names(folded(ROWS, 1)) == [("input to fc", "forward"), ("loss", "loss"), ("fc to conv1", "backward")]


def test_a_time_that_lacks_a_part_is_none() -> None:
    rows = (row("a", "forward", 1.0, 2.0), row("b", "forward", 1.0))
    assert folded(rows, 1)[0].measured_ms is None
