"""What tests of every floor share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import open_cpu

# The same examples at every run, on machines of any speed.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def cpu() -> Iterator[Device]:
    """The CPU with two threads."""
    opened = open_cpu(2)
    yield opened
    opened.close()
