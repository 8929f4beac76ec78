from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpunn.data.loading.failure import Failure
from gpunn.data.loading.loader import Loader
from gpunn.data.loading.timings import Tally, Timings
from gpunn.data.loading.workers import Outcome
from tests.data.loading.datasets import SAME_SIZE, Files, copied


def test_sums_are_kept_for_each_worker() -> None:
    tally = Tally(3)
    tally.add_wait(0.5)
    tally.add(Outcome(0, 1, 2.0, ()), 16)
    tally.add(Outcome(1, 0, 1.0, (Failure(3, 7, "torn"), Failure(4, 9, "torn"))), 16)
    before = tally.timings()
    tally.add(Outcome(2, 1, 4.0, ()), 5)
    tally.add_wait(0.25)
    assert before == Timings(0.5, (1.0, 2.0, 0.0), 30)
    assert tally.timings() == Timings(0.75, (1.0, 6.0, 0.0), 35)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_epoch_is_timed_from_its_beginning(tmp_path: Path, kind: Any, started: list[Any]) -> None:
    source = Loader(Files(30, tmp_path), SAME_SIZE, batch_size=4, seed=1, workers=2, worker_kind=kind)
    for epoch in range(2):
        batches = source.batches(epoch)
        assert source.timings == Timings(0.0, (0.0, 0.0), 0)
        copied(batches)
        timings = source.timings
        assert timings.images == 30
        assert timings.waited_seconds > 0
        assert len(timings.busy_seconds) == 2
        assert sum(timings.busy_seconds) > 0
    source.close()


def test_an_epoch_that_goes_on_does_not_count_for_the_next(tmp_path: Path) -> None:
    source = Loader(Files(30, tmp_path), SAME_SIZE, batch_size=4, seed=1, workers=2)
    first = source.batches(0)
    next(first)
    source.batches(1)
    copied(first)
    assert source.timings == Timings(0.0, (0.0, 0.0), 0)
