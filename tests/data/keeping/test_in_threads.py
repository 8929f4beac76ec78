from __future__ import annotations

import io
import sys
import threading

import pytest

from gpunn.data.keeping.in_threads import PART, THREADS, in_threads


@pytest.mark.parametrize("count", [0, 1, PART, PART + 1, 5 * PART - 1])
def test_the_parts_cover_everything_once_and_in_order(count: int) -> None:
    parts = list(in_threads(count, lambda first, last: range(first, last), "counting"))
    assert [number for part in parts for number in part] == list(range(count))


def test_parts_are_worked_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=60)
    assert len(list(in_threads(2 * PART, lambda first, last: both.wait(), "meeting"))) == 2


@pytest.mark.parametrize("ends", ["by an error", "by leaving"])
def test_parts_that_nobody_has_begun_are_dropped_at_the_end(ends: str) -> None:
    begun: list[int] = []
    go = threading.Event()

    def work(first: int, last: int) -> None:
        begun.append(first)
        if first > 0:
            go.wait()
        elif ends == "by an error":
            raise ValueError("the first part")

    results = in_threads(10 * THREADS * PART, work, "counting")
    release = threading.Timer(0.3, go.set)
    release.start()
    if ends == "by an error":
        with pytest.raises(ValueError, match="the first part"):
            next(results)
    else:
        next(results)
        results.close()
    assert go.is_set(), "the end waits for what has begun"
    # Whoever was done with the first part has begun another.
    assert len(begun) <= THREADS + 1
    assert not any(thread.name.startswith("gpunn-files") for thread in threading.enumerate())
    release.join()


def test_where_nobody_watches_nothing_is_shown(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpunn.data.keeping.in_threads._SILENT_SECONDS", 0.0)
    list(in_threads(5 * PART, lambda first, last: None, "counting"))
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_lasting_work_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr("gpunn.data.keeping.in_threads._SILENT_SECONDS", 0.0)
    list(in_threads(5 * PART, lambda first, last: None, "counting sheep"))
    assert "counting sheep" in shown.getvalue()
    assert shown.getvalue().endswith("\r")
