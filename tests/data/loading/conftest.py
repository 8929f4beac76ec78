from __future__ import annotations

import gc
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gpunn.data.loading import process_workers


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """All worker processes that a test starts; none of them may outlive it."""
    processes: list[subprocess.Popen[bytes]] = []

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(process_workers, "Popen", popen)
    yield processes
    assert all(process.returncode is not None for process in processes)


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """The workers among the threads that a test has started and that have not ended."""
    gc.collect()
    before = set(threading.enumerate())

    def found() -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread.name.startswith("gpunn-loader") and thread not in before
        ]

    return found
