"""The devices that run kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpunn.backend.cuda.device import CudaDevice
from tests.backend.emulator.devices import CHECK, EVERY_WAY, FAST, emulator


@pytest.fixture(scope="session")
def fast() -> Iterator[CudaDevice]:
    """The fast build."""
    with emulator(FAST) as device:
        yield device


@pytest.fixture(scope="session")
def check() -> Iterator[CudaDevice]:
    """The check build, which raises when a kernel does anything that is not allowed."""
    with emulator(CHECK) as device:
        yield device


@pytest.fixture(scope="session", params=EVERY_WAY.values(), ids=EVERY_WAY.keys())
def every_way(request: pytest.FixtureRequest) -> Iterator[CudaDevice]:
    """Both builds, each with every schedule."""
    with emulator(request.param) as device:
        yield device
