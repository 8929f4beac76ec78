"""The course of a run: what it refuses, and which passes an epoch has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gpunn.errors import UsageError
from gpunn.schedules import ConstantSchedule
from gpunn.training import Plan


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": -1}, {"accumulate": 0}, {"patience": 0}, {"workers": 0}, {"checkpoint_seconds": -1}],
)
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=name):
        Plan(**{"epochs": 1, "batch_size": 1, "schedule": ConstantSchedule(0.1), **wrong})


@pytest.mark.parametrize("images", [1, 5, 6, 7, 12, 13])
@pytest.mark.parametrize("batch_size", [1, 3, 6, 20])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_passes_and_updates_are_those_of_a_walk_through_the_epoch(
    images: int, batch_size: int, accumulate: int
) -> None:
    plan = Plan(1, batch_size, ConstantSchedule(0.1), accumulate=accumulate)
    walked: Counter[tuple[int, bool]] = Counter()
    left, number = images, 0
    while left:
        size = min(batch_size, left)
        walked[size, number % accumulate > 0] += 1
        left -= size
        number += 1
    assert set(walked) <= set(plan.passes(images))
    assert plan.updates(images) == sum(count for (_, adds), count in walked.items() if not adds)
