"""Results in order, from threads that do not run far ahead."""

from __future__ import annotations

import threading
import time

import pytest

from gpunn.data.making.in_order import AHEAD, in_order


@pytest.mark.parametrize("workers", [1, 3])
def test_results_have_the_order_of_the_items(workers: int) -> None:
    def late(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(in_order(late, range(40), workers)) == [number * number for number in range(40)]


def test_work_waits_for_whoever_takes_the_results() -> None:
    begun: list[int] = []
    results = in_order(begun.append, range(1000), 2)
    for taken in range(1, 6):
        next(results)
        time.sleep(0.01)
        assert len(begun) <= taken + 2 * AHEAD
    results.close()


@pytest.mark.parametrize("ends", ["closed", "failed"])
def test_what_nobody_has_begun_is_dropped_at_the_end(ends: str) -> None:
    """The second and the third item are being worked on when the end comes; six more are waiting."""
    begun: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number > 0:
            go.wait()
        elif ends == "failed":
            raise ValueError("item 0")

    results = in_order(work, range(1000), 2)
    release = threading.Timer(0.1, go.set)
    release.start()
    if ends == "closed":
        next(results)
        results.close()
    else:
        with pytest.raises(ValueError, match="item 0"):
            next(results)
    assert go.is_set(), "the end waits for what has begun"
    assert sorted(begun) in ([0, 1], [0, 1, 2])
    release.join()
