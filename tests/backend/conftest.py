"""The devices on which every test of a primitive runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import open_cpu


@pytest.fixture(scope="session", params=["cpu"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """An open device; the CPU with two threads, so that the split over threads is tested too."""
    opened = open_cpu(2)
    yield opened
    opened.close()
