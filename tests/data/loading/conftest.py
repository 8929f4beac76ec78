from __future__ import annotations

import subprocess
from collections.abc import Iterator
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
