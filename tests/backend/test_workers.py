"""Work shared among threads: all of it once, also when it is begun within other work or raises."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from gpunn.backend.contract import nothing
from gpunn.backend.cpu.workers import Workers

#: Seconds that a test waits for another thread before it fails.
PATIENCE = 20


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers(2, nothing)
    yield started
    started.close()


@pytest.mark.parametrize("shares", [1, 2, 3, 10])
def test_each_share_is_done_once(workers: Workers, shares: int) -> None:
    done: list[int] = []
    workers.run(done.append, shares)
    assert sorted(done) == list(range(shares))


def test_shares_run_at_the_same_time(workers: Workers) -> None:
    together = threading.Barrier(3)

    def meet(share: int) -> None:
        together.wait(PATIENCE)

    workers.run(meet, 3)
    assert not together.broken


def test_the_caller_takes_over_what_busy_threads_have_not_begun(workers: Workers) -> None:
    occupied, free = threading.Barrier(4), threading.Event()

    def occupy(share: int) -> None:
        occupied.wait(PATIENCE)
        free.wait(PATIENCE)

    others = threading.Thread(target=workers.run, args=(occupy, 3))
    others.start()
    occupied.wait(PATIENCE)
    by: list[threading.Thread] = []
    workers.run(lambda share: by.append(threading.current_thread()), 3)
    free.set()
    others.join(PATIENCE)
    assert by == [threading.current_thread()] * 3


def test_work_within_work_ends(workers: Workers) -> None:
    done: list[tuple[int, int]] = []
    workers.run(lambda outer: workers.run(lambda inner: done.append((outer, inner)), 3), 3)
    assert sorted(done) == [(outer, inner) for outer in range(3) for inner in range(3)]


def test_an_error_is_raised_after_all_shares_have_ended(workers: Workers) -> None:
    done: list[int] = []

    def work(share: int) -> None:
        if share == 1:
            raise ValueError("share 1")
        done.append(share)

    with pytest.raises(ValueError, match="share 1"):
        workers.run(work, 5)
    assert sorted(done) == [0, 2, 3, 4]
    workers.run(done.append, 1)
    assert len(done) == 5


def test_each_thread_is_prepared_before_it_works() -> None:
    prepared: list[threading.Thread] = []
    workers = Workers(2, lambda: prepared.append(threading.current_thread()))
    together, met = threading.Barrier(3), set()

    def note(share: int) -> None:
        together.wait(PATIENCE)
        met.add(threading.current_thread())

    workers.run(note, 3)
    workers.close()
    assert len(prepared) == 2
    assert met == {*prepared, threading.current_thread()}


@pytest.mark.parametrize("closed", [True, False])
def test_threads_end_with_their_owner(closed: bool) -> None:
    before = set(threading.enumerate())
    workers = Workers(2, nothing)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    if closed:
        workers.close()
    del workers
    gc.collect()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
