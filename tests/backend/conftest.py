"""The devices on which every test of a primitive runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Device
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, FLOAT64

#: The number types that each device computes in.
COMPUTES = {
    "cpu": (FLOAT32, FLOAT64),
    "emulator": (FLOAT32, BFLOAT16, FLOAT16),
    "emulator:check": (FLOAT32, BFLOAT16, FLOAT16),
    "cuda": (FLOAT32, BFLOAT16, FLOAT16),
}
#: Where tests run: on what every machine has, or on the devices that GPUNN_TEST_DEVICES names, such as "cuda".
TESTED = os.environ.get("GPUNN_TEST_DEVICES", "cpu,emulator,emulator:check").split(",")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a device does not compute."""
    dropped = [item for item in items if not _computes(getattr(item, "callspec", None))]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in set(dropped)]


def _computes(callspec: Any) -> bool:
    parameters = callspec.params if callspec is not None else {}
    device = re.sub(r":\d+$", "", str(parameters.get("device")))
    if device not in COMPUTES or "dtype" not in parameters:
        return True
    return np.dtype(parameters["dtype"]) in COMPUTES[device]


@pytest.fixture(scope="session", params=TESTED)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """An open device; the CPU with two threads, so that the split over threads is tested too."""
    opened = backend.open(request.param, 2 if request.param == "cpu" else None)
    yield opened
    opened.close()
