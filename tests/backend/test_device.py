"""How many threads the CPU gets, as asked, as the environment says, or one for every core; and how they share work."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gpunn.backend.cpu.device import UFUNC_BUFFER, available_cores, open_cpu
from gpunn.errors import UsageError

#: Seconds that a test waits for another thread before it fails.
PATIENCE = 20


def threads_of(threads: int | None = None) -> int:
    opened = open_cpu(threads)
    opened.close()
    return opened.threads


def test_threads_as_asked_come_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUNN_THREADS", "3")
    assert threads_of(2) == 2
    assert threads_of() == 3


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_number_every_core_gets_one(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("GPUNN_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("GPUNN_THREADS", value)
    assert threads_of() == available_cores()


@pytest.mark.parametrize("value", ["abc", "-3", "0", "1.5"])
def test_an_environment_that_gives_no_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GPUNN_THREADS", value)
    with pytest.raises(UsageError, match=f"GPUNN_THREADS is '{value}'; it must be a whole number of 1 or more"):
        open_cpu()


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_an_impossible_number_of_threads_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match=f"{threads} threads; it must be a whole number of 1 or more"):
        open_cpu(threads)


def test_every_chunk_is_worked_on_once_and_those_of_a_share_in_order() -> None:
    opened = open_cpu(3)
    done: list[int] = []
    opened.parallel(done.append, range(20))
    opened.close()
    assert sorted(done) == list(range(20))
    for first in range(3):
        assert [chunk for chunk in done if chunk % 3 == first] == list(range(first, 20, 3))


@pytest.mark.parametrize("threads", [None, 1])
@pytest.mark.parametrize("recorded", [False, True])
def test_primitives_have_their_settings_and_their_caller_keeps_his(threads: int | None, recorded: bool) -> None:
    opened, found = open_cpu(2), []

    def step() -> None:
        opened.parallel(lambda chunk: found.append((np.getbufsize(), set(np.geterr().values()))), range(4), threads)

    with np.errstate(all="raise"):
        before = np.getbufsize()
        (opened.record(step) if recorded else step)()
        assert set(np.geterr().values()) == {"raise"}
        assert np.getbufsize() == before != UFUNC_BUFFER
    opened.close()
    assert found == [(UFUNC_BUFFER, {"ignore"})] * 4


def test_every_thread_has_the_settings() -> None:
    opened, together = open_cpu(2), threading.Barrier(2)
    found: dict[threading.Thread, tuple[int, set[str]]] = {}

    def note(chunk: int) -> None:
        together.wait(PATIENCE)
        found[threading.current_thread()] = np.getbufsize(), set(np.geterr().values())

    opened.parallel(note, range(2))
    opened.close()
    assert list(found.values()) == [(UFUNC_BUFFER, {"ignore"})] * 2


def test_settings_are_left_by_an_error_too() -> None:
    opened = open_cpu(1)
    with np.errstate(all="raise"):
        with pytest.raises(ZeroDivisionError):
            opened.record(lambda: opened.parallel(lambda chunk: 1 // chunk, range(1)))()
        assert set(np.geterr().values()) == {"raise"}
        assert np.getbufsize() != UFUNC_BUFFER
    opened.close()
