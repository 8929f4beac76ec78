"""Which cores are chosen, and that they are given back."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gpunn.timing import pinning
from gpunn.timing.pinning import apart, pinned

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no thread on a core")


def machine(folder: Path, siblings: dict[int, str]) -> Path:
    for core, text in siblings.items():
        topology = folder / f"sys/devices/system/cpu/cpu{core}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(text + "\n")
    return folder


def test_threads_of_one_core_come_last(tmp_path: Path) -> None:
    system = machine(tmp_path, {0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5", 6: "6-7"})
    assert apart({5, 4, 1, 0, 6}, system) == [0, 1, 6, 4, 5]


def test_cores_that_nothing_is_known_of_are_apart(tmp_path: Path) -> None:
    assert apart({2, 1}, tmp_path) == [1, 2]


def test_every_thread_is_kept_there_and_given_back() -> None:
    before = os.sched_getaffinity(0)
    started, finish = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def work() -> None:
        started.set()
        finish.wait()
        seen.append(os.sched_getaffinity(0))

    # Daemons, so that a failure does not wait for them.
    others = [threading.Thread(target=work, daemon=True)]
    others[0].start()
    started.wait()
    with pinned(1) as cores:
        assert len(cores) == 1
        assert os.sched_getaffinity(0) == set(cores)
        # A thread that starts now has the cores of the one that starts it.
        others.append(threading.Thread(target=work, daemon=True))
        others[1].start()
        assert os.sched_getaffinity(others[0].native_id or 0) == set(cores)
        assert os.sched_getaffinity(others[1].native_id or 0) == set(cores)
    assert os.sched_getaffinity(0) == before
    finish.set()
    for other in others:
        other.join()
    assert seen == [before, before]


def test_cores_are_given_back_after_an_error() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned(1):
        print(1 // 0)
    assert os.sched_getaffinity(0) == before


def test_a_system_that_forbids_it_is_timed_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: int, cores: set[int]) -> None:
        raise PermissionError

    monkeypatch.setattr("os.sched_setaffinity", refuse)
    with pinned(1) as cores:
        assert cores == ()


def test_a_thread_that_ends_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    real = pinning.threads_of_this_process
    monkeypatch.setattr(pinning, "threads_of_this_process", lambda: [*real(), ended.native_id or 0])
    with pinned(1) as cores:
        assert os.sched_getaffinity(0) == set(cores)


def test_no_more_cores_than_there_are() -> None:
    with pinned(4096) as cores:
        assert set(cores) == os.sched_getaffinity(0)
