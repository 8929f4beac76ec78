"""SIGINT and SIGTERM: the first asks, the second leaves, and outside the guard nothing is changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gpunn.training.interruption import InterruptionGuard

PREFIX = """
import signal, sys, threading, time
from gpunn.training.interruption import InterruptionGuard
say = lambda text: print(text, flush=True)
"""

ENDS_ITS_STEP = (
    PREFIX
    + """
with InterruptionGuard(say) as guard:
    say("ready")
    while guard.requested is None:
        time.sleep(0.01)
    say("snapshot")
say(guard.requested.name)
sys.exit(guard.exit_code)
"""
)

NEVER_ENDS_ITS_STEP = (
    PREFIX
    + """
try:
    with InterruptionGuard(say) as guard:
        say("ready")
        while True:
            time.sleep(0.01)
finally:
    say("cleaned up")
"""
)


class Program:
    """A program that waits for signals and tells in lines how far it is."""

    def __init__(self, text: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def finish(self) -> tuple[list[str], int]:
        """The lines not yet read, and the exit status."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read().splitlines()
        return rest, self.process.wait()


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.process.kill()
        program.process.wait()
        assert program.process.stdout is not None
        program.process.stdout.close()


def start(programs: list[Program], text: str) -> Program:
    programs.append(Program(text))
    return programs[-1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("ignored", [False, True])
def test_the_first_signal_lets_the_step_end(
    programs: list[Program], number: signal.Signals, status: int, ignored: bool
) -> None:
    # Shells start background jobs with SIGINT ignored.
    program = start(programs, f"import signal; signal.signal({number}, signal.SIG_IGN)\n" * ignored + ENDS_ITS_STEP)
    program.process.send_signal(number)
    lines, ended = program.finish()
    assert lines == [f"{number.name}: ending after this step; a second signal leaves at once", "snapshot", number.name]
    assert ended == status


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGTERM, signal.SIGTERM, 143), (signal.SIGINT, signal.SIGTERM, 143)],
)
def test_the_second_signal_leaves_at_once(
    programs: list[Program], first: signal.Signals, second: signal.Signals, status: int
) -> None:
    program = start(programs, NEVER_ENDS_ITS_STEP)
    program.process.send_signal(first)
    assert "a second signal" in program.read()
    program.process.send_signal(second)
    assert program.finish() == ([], status)


def test_after_the_guard_the_signal_has_its_old_meaning(programs: list[Program]) -> None:
    program = start(
        programs,
        PREFIX
        + """
with InterruptionGuard():
    pass
try:
    say("ready")
    time.sleep(60)
except KeyboardInterrupt:
    say("interrupted")
""",
    )
    program.process.send_signal(signal.SIGINT)
    assert program.finish() == (["interrupted"], 0)


def test_handlers_are_restored_even_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), InterruptionGuard():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_nothing_requested_has_no_exit_code() -> None:
    with InterruptionGuard() as guard:
        assert guard.requested is None
    assert guard.exit_code is None


def test_a_guard_can_be_entered_again() -> None:
    guard = InterruptionGuard()
    with guard:
        os.kill(os.getpid(), signal.SIGTERM)
        assert guard.requested == signal.SIGTERM
    assert guard.exit_code == 143
    with guard:
        assert guard.requested is None


def test_in_another_thread_the_guard_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with InterruptionGuard() as guard:
            seen.append((signal.getsignal(signal.SIGINT), guard.requested))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, None)]
