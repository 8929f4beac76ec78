"""Rows from times of pieces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gpunn.backend.work import Work
from gpunn.program.cost import Cost
from gpunn.timing.layer_clock import LayerClock
from gpunn.timing.layer_row import middle_half
from gpunn.timing.network_step import Direction, Piece
from gpunn.timing.report import Ceilings
from gpunn.timing.stopwatch import Times
from tests.timing.fakes import ScriptedDevice

COSTS = {
    "input": Cost(0, 10),
    "conv1": Cost(100, 20),
    "relu1": Cost(0, 30),
    "loss": Cost(0, 1),
    "optimizer": Cost(0, 50),
}


def step() -> Any:
    """conv1 runs forward, and twice backward; its ReLU only backward, for the other half is part of conv1."""
    rows = ("input", "conv1", "loss", "relu1", "conv1", "conv1", "optimizer")
    directions: tuple[Direction, ...] = (
        "forward",
        "forward",
        "forward",
        "backward",
        "backward",
        "backward",
        "backward",
    )
    pieces = [Piece(row, direction, lambda: None, COSTS[row]) for row, direction in zip(rows, directions, strict=True)]
    image, conv, relu, flat = (SimpleNamespace(layer=SimpleNamespace(kind=kind)) for kind in ("i", "conv", "relu", "f"))
    nodes = [SimpleNode(node) for node in (image, conv, relu, flat)]
    labels = dict(zip(nodes, ("image", "conv1", "relu1", "flatten"), strict=True))
    return SimpleNamespace(pieces=pieces, network=SimpleNamespace(nodes=nodes, image=nodes[0], labels=labels))


class SimpleNode:
    def __init__(self, node: Any) -> None:
        self.layer = node.layer


WORKS = [
    Work("NumPy", None),
    Work("direct", 150),
    Work("NumPy", None),
    Work("NumPy", None),
    Work("tapwise", 90),
    Work("direct", None),
    Work("NumPy", None),
]
SAMPLE = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007]


def scaled(factor: float) -> list[float]:
    return [factor * seconds for seconds in SAMPLE]


def clock_of(*samples: list[float]) -> LayerClock:
    """The first line is the warm-up's, which says that one step makes a sample."""
    device: Any = ScriptedDevice([[9.0] * 7, *samples], list(WORKS))
    made = LayerClock(step(), device)
    for _ in samples:
        made.sample()
    return made


def test_pieces_are_summed_up_to_rows() -> None:
    rows = clock_of(SAMPLE).rows(None)
    assert [row.name for row in rows] == ["input", "conv1", "relu1", "loss", "optimizer"]
    assert [row.kind for row in rows] == ["input", "conv", "relu", "loss", "optimizer"]
    assert [row.forward_ms for row in rows] == pytest.approx([1, 2, 0, 3, 0])
    assert [row.backward_ms for row in rows] == pytest.approx([0, 11, 4, 0, 7])
    assert sum(row.forward_ms + row.backward_ms for row in rows) == pytest.approx(1000 * sum(SAMPLE))


def test_costs_and_algorithms() -> None:
    rows = {row.name: row for row in clock_of(SAMPLE).rows(None)}
    conv = rows["conv1"]
    assert (conv.flops, conv.bytes) == (300, 60)
    # What is not known to be more is as much as is wanted.
    assert conv.executed_flops == 150 + 90 + 100
    assert conv.algorithm == "direct / tapwise + direct"
    assert rows["relu1"].algorithm == rows["input"].algorithm == "NumPy"
    assert conv.share_of_ceiling is None


def test_the_share_is_of_the_floor_of_each_piece() -> None:
    conv = clock_of(SAMPLE).rows(Ceilings(1e5, 1e4, ""))[1]
    # Each of the three takes at least 100 / 1e5 = 1 ms for its operations and 20 / 1e4 = 2 ms for its bytes.
    assert conv.share_of_ceiling == pytest.approx(3 * 2 / 13)


def test_an_algorithm_with_fewer_products_has_a_lower_floor() -> None:
    conv = clock_of(SAMPLE).rows(Ceilings(1e5, 1e6, ""))[1]
    # 150 operations where 100 would do, 90 where the definition has 100, and 100: what tiles do in vain is no floor.
    assert conv.share_of_ceiling == pytest.approx((100 + 90 + 100) / 1e5 / 0.013)


def test_what_takes_no_time_has_no_share() -> None:
    """The clock of a GPU counts half microseconds."""
    rows = clock_of([0.0] * 7).rows(Ceilings(1e5, 1e4, ""))
    assert [row.share_of_ceiling for row in rows] == [None] * 5


def test_rows_are_those_of_a_usual_step() -> None:
    samples = [scaled(factor) for factor in (50.0, 1.0, 3.0, 0.1)]
    conv = clock_of(*samples).rows(None)[1]
    assert (conv.forward_ms, conv.backward_ms) == (pytest.approx(2 * 2), pytest.approx(2 * 11))
    assert conv.both_ms == Times(pytest.approx(26), pytest.approx(1.3), pytest.approx(650))


def test_steps_that_are_held_up_in_different_places_still_add_up() -> None:
    """Each of seven steps of 7 ms is held up in another piece: medians of pieces would add up to 7 and not to 17."""
    samples = [[0.001 + 0.010 * (piece == held) for piece in range(7)] for held in range(7)]
    rows = clock_of(*samples).rows(None)
    assert sum(row.forward_ms + row.backward_ms for row in rows) == pytest.approx(17)


def test_a_sample_of_short_steps_is_their_mean() -> None:
    device: Any = ScriptedDevice([[0.02 / 7] * 7, scaled(1.0), scaled(3.0)], list(WORKS))
    clock = LayerClock(step(), device)
    clock.sample()
    assert not device.script
    assert clock.rows(None)[0].forward_ms == pytest.approx(2)


def test_there_are_no_rows_without_samples() -> None:
    assert clock_of().rows(None) == ()


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (3, [0, 1, 2]), (4, [1, 2]), (9, [2, 3, 4, 5, 6])])
def test_the_middle_half(count: int, kept: list[int]) -> None:
    samples = [[float(number)] for number in range(count)]
    assert middle_half(samples[::-1]) == [[float(number)] for number in kept]
