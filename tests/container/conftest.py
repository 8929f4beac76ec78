"""The images, each built once, where that is wanted and can be done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpunn.cache import cache_folder
from tests.container.building import Builder, Image
from tests.container.machine import lacking
from tests.container.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
#: The targets to build, with commas between: it takes minutes and package indexes, so it is asked for.
WANTED = "GPUNN_TEST_CONTAINER"


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The target cpu."""
    with built("cpu") as made:
        yield made


@pytest.fixture(scope="session")
def cuda_image() -> Iterator[Image]:
    """The target cuda."""
    with built("cuda") as made:
        yield made


@contextmanager
def built(target: str) -> Iterator[Image]:
    """An image, where it is wanted and can be built."""
    if target not in os.environ.get(WANTED, "").split(","):
        pytest.skip(f"{WANTED}={target} builds the image and runs it")
    reason = lacking()
    if reason is not None:
        pytest.skip(f"no image can be built here: {reason}")
    with Builder(cache_folder("test-images")).image(ROOT, target) as made:
        yield made


@pytest.fixture
def sandbox(image: Image, tmp_path: Path) -> Sandbox:
    """Containers of the target cpu, with new volumes."""
    return Sandbox.of(image, tmp_path)
