from __future__ import annotations

import time

import numpy as np
import pytest

from gpunn.data.loading.board import BETWEEN, RESTING, Board
from gpunn.data.loading.watch import Watch
from gpunn.errors import DataError

SINCE = 1


class Clock:
    """What `time.monotonic_ns` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(time, "monotonic_ns", lambda: int(self.seconds * 1e9))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def board(clock: Clock) -> Board:
    board = Board(np.zeros(Board.bytes(3), np.uint8), 3)
    for worker in range(3):
        board.note(worker, RESTING)
    return board


@pytest.fixture
def watch(board: Board) -> Watch:
    return Watch(board, 10.0, lambda index: f"picture {index}")


def test_a_board_is_seen_through_every_view_of_its_memory(clock: Clock) -> None:
    memory = np.zeros(Board.bytes(2), np.uint8)
    one, other = Board(memory, 2), Board(memory, 2)
    assert one.begin(1, 5, 2**40)
    clock.seconds += 2.5
    assert [activity.index for activity in other.activities()] == [0, 2**40]
    assert other.activity(1).seconds == 2.5
    one.note(1, RESTING)
    assert other.activity(1).index == RESTING
    assert other.activity(1).seconds == 0.0


def test_jobs_that_are_given_up_are_not_begun(board: Board) -> None:
    board.drop(7)
    assert [board.begin(0, job, 3) for job in (6, 7, 8)] == [False, True, True]
    assert [board.is_dropped(job) for job in (6, 7, 8)] == [True, False, False]


def test_a_picture_that_takes_too_long_is_named_at_the_second_look(board: Board, watch: Watch, clock: Clock) -> None:
    board.begin(2, 0, 17)
    clock.seconds += 9.9
    watch.look()
    watch.look()
    clock.seconds += 0.2
    watch.look()
    with pytest.raises(DataError, match=r"^picture 17: worker 2 has been reading this picture for 10\.1 s.* 10 s; "):
        watch.look()


def test_workers_that_go_on_after_a_pause_of_the_system_are_not_accused(
    board: Board, watch: Watch, clock: Clock
) -> None:
    board.begin(0, 0, 1)
    board.begin(1, 0, 2)
    clock.seconds += 500
    watch.look()
    board.begin(0, 0, 3)
    board.note(1, RESTING)
    watch.look()
    clock.seconds += 5
    watch.look()


def test_workers_may_rest_for_ever(watch: Watch, clock: Clock) -> None:
    clock.seconds += 1e6
    watch.look()
    watch.look()


def test_a_worker_that_starts_or_works_on_several_pictures_has_longer(board: Board, watch: Watch, clock: Clock) -> None:
    board.note(1, BETWEEN)
    clock.seconds += 59
    watch.look()
    watch.look()
    clock.seconds += 2
    watch.look()
    with pytest.raises(DataError, match="worker 1 has not moved for 61 s"):
        watch.look()


def test_looks_are_more_frequent_than_the_time_out(board: Board) -> None:
    assert [Watch(board, timeout, str).interval for timeout in (0.4, 2.0, 3600.0)] == [0.1, 0.5, 1.0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-9, "it was ended by SIGKILL; where the system ran out of memory, use fewer workers"),
        (-11, "it was ended by SIGSEGV; remove or replace the picture"),
        (-63, "it was ended by signal 63; remove"),
        (1, "it ended with status 1; "),
        (None, "it ended, nobody knows how; "),
    ],
)
def test_how_a_process_ended_is_said_in_words(board: Board, watch: Watch, status: int | None, words: str) -> None:
    board.begin(1, 0, 4)
    assert str(watch.death(1, status)).startswith(f"picture 4: while worker 1 read this picture {words}")
    assert "while it read no picture" in str(watch.death(0, status))
