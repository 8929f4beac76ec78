"""Flat arrays: offsets, gaps, and neighbours that are updated as one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gpunn.arena import ALIGNMENT, Part, Run, SegmentTable, align, place


@given(some.integers(0, 10**6), some.integers(1, 512))
def test_align_rounds_up_to_a_multiple(count: int, alignment: int) -> None:
    rounded = align(count, alignment)
    assert rounded % alignment == 0
    assert 0 <= rounded - count < alignment


PARTS = some.lists(
    some.tuples(
        some.lists(some.integers(1, 40), max_size=3),
        some.sampled_from([0.5, 1.0]),
        some.sampled_from([0.0, 0.1]),
        some.booleans(),
    ),
    max_size=12,
)


def placed(parts: list[tuple[list[int], float, float, bool]]) -> SegmentTable:
    return place(
        Part(f"p{i}", tuple(shape), factor, decay, trainable)
        for i, (shape, factor, decay, trainable) in enumerate(parts)
    )


@given(PARTS)
def test_parts_are_aligned_and_follow_each_other_without_overlap(
    parts: list[tuple[list[int], float, float, bool]],
) -> None:
    table = placed(parts)
    segments = list(table)
    assert [segment.name for segment in segments] == [f"p{index}" for index in range(len(parts))]
    assert all(segment.offset % ALIGNMENT == 0 for segment in segments)
    for before, after in pairwise(segments):
        assert before.stop <= after.offset < before.stop + ALIGNMENT
    if segments:
        assert segments[-1].stop <= table.size < segments[-1].stop + ALIGNMENT


@given(PARTS)
def test_runs_treat_every_trainable_element_as_its_part_says(parts: list[tuple[list[int], float, float, bool]]) -> None:
    table = placed(parts)
    settings: dict[int, tuple[float, float]] = {}
    for run in table.runs:
        for element in range(run.start, run.stop):
            assert element not in settings
            settings[element] = (run.learning_rate_factor, run.decay)
    for segment in table:
        for element in range(segment.offset, segment.stop):
            expected = (segment.learning_rate_factor, segment.decay) if segment.trainable else None
            assert settings.get(element) == expected
    for before, after in pairwise(table.runs):
        touching = align(before.stop, ALIGNMENT) == after.start
        alike = (before.learning_rate_factor, before.decay) == (after.learning_rate_factor, after.decay)
        assert not (touching and alike)


def test_neighbours_with_equal_settings_are_one_run() -> None:
    table = place([Part("a", (3,), decay=0.1), Part("b", (70,), decay=0.1), Part("c", (1,)), Part("d", (2,), 1.0)])
    assert table.runs == (Run(0, 134, 1.0, 0.1), Run(192, 258, 1.0, 0.0))


def test_parts_are_found_by_name() -> None:
    table = place([Part("a", (3,)), Part("b", (2, 5))])
    assert table["b"].shape == (2, 5)
    assert table["b"].offset == ALIGNMENT
    assert "b" in table
    assert "c" not in table


def test_a_name_is_used_once() -> None:
    with pytest.raises(ValueError, match="two parts are named 'a'"):
        place([Part("a", (1,)), Part("a", (1,))])


def test_nothing_takes_no_space() -> None:
    assert place([]).size == 0
    assert place([]).runs == ()
