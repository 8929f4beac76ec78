"""Where the time went: sums and fractions of given measurements."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gpunn.data.loading.timings import Timings
from gpunn.training import time_spent
from gpunn.training.time_spent import Stopwatch, TimeSpent


def test_what_was_spent_before_an_interruption_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 103.0])
    monkeypatch.setattr(time_spent, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    learner: Any = SimpleNamespace(feeding_seconds=7.0)
    loader: Any = SimpleNamespace(timings=Timings(0.0, (0.0,), 0))
    stopwatch = Stopwatch(TimeSpent(2.0, 0.5, 0.25, (1.0, 1.5), 40), learner, loader)
    learner.feeding_seconds = 7.5
    loader.timings = Timings(1.0, (2.5,), 60)
    assert stopwatch.read() == TimeSpent(5.0, 1.5, 0.75, (3.5, 1.5), 100)


def test_the_parts_of_the_time() -> None:
    spent = TimeSpent(seconds=8.0, waited=2.0, copied=1.0, decoding=(8.0, 6.0), images_read=9)
    assert (spent.wait_fraction, spent.copy_fraction, spent.compute_fraction) == (0.25, 0.125, 0.625)
    assert spent.decode_fractions == (1.0, 0.75)


def test_clocks_that_disagree_leave_no_part_outside_its_bounds() -> None:
    """Workers begin before the epoch does, and clocks have steps."""
    spent = TimeSpent(seconds=1.0, waited=0.9, copied=0.2, decoding=(1.1,))
    assert (spent.compute_fraction, spent.decode_fractions) == (0.0, (1.0,))
    assert TimeSpent().wait_fraction == 0.0
