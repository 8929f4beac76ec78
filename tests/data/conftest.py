from __future__ import annotations

import time
from pathlib import Path

import pytest

from gpunn.cache import CACHE_VARIABLE


@pytest.fixture
def kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which even trees of a few files are kept, by a clock for which nothing is fresh."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    monkeypatch.setattr("gpunn.data.keeping.source_cache.WORTH_KEEPING", 1)
    monkeypatch.setattr("gpunn.data.keeping.file_state.time_ns", lambda: time.time_ns() + 3600 * 10**9)
    return folder / "data"
