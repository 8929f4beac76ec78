"""A machine without a GPU on which all is well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.diagnosis.machines import Made


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    return Made(tmp_path, user=os.getuid())
