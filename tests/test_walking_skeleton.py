"""One LeNet training step through every floor, on both backends: CUDA kernels where there are any, else the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import NO_CHOICES, Grid
from gpunn.backend.cuda.launching.source import Choices
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.models import model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training.learner import Learner
from gpunn.training.rule import Rule

BATCH = 3
STEPS = 2
RATE = 0.01
#: Of the largest number in an array: two steps of float32 sums, added up in another order.
TOLERANCE = 1e-5


def train(device: Device) -> dict[str, np.ndarray]:
    """Every array of the state after two steps on the same batch."""
    chosen = model("lenet")
    draw = np.random.default_rng(1)
    batch = Batch(
        draw.integers(0, 256, (BATCH, 28, 28, 1), dtype=np.uint8),
        draw.integers(0, 10, BATCH).astype(np.int32),
        np.zeros((BATCH, 3), np.int32),
        np.arange(BATCH),
    )
    learner = Learner(
        chosen.build(chosen.image, chosen.classes),
        device,
        precision("float32"),
        Preprocessing(28, 28, 1, "stretch", 28, (0.13,), (0.31,)),
        Rule(Sgd(weight_decay=5e-4, momentum=0.9), seed=3),
    )
    for _ in range(STEPS):
        learner.learn(batch, first=0, images=BATCH)
        learner.update(RATE)
    return {**learner.state.export(), "totals": learner.state.read_totals()}


@pytest.fixture(scope="module")
def on_cpu() -> dict[str, np.ndarray]:
    device = backend.open("cpu", threads=1)
    try:
        return train(device)
    finally:
        device.close()


@pytest.mark.parametrize("name", ["emulator", "emulator:check"])
def test_lenet_step_on_the_emulator_equals_the_cpu(name: str, on_cpu: dict[str, np.ndarray]) -> None:
    device = backend.open(name)
    launched = watch_launches(device)
    found = train(device)
    device.close()
    assert found.keys() == on_cpu.keys()
    for key, expected in on_cpu.items():
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=key)
    assert {"convolution2d_forward.cu", "sgd.cu"} <= {file for file, _ in launched}


def watch_launches(device: Device) -> set[tuple[str, str]]:
    """File and name of the kernels that go through the device's launcher from now on."""
    assert isinstance(device, CudaDevice)
    seen: set[tuple[str, str]] = set()
    original = device.launcher.launch

    def launch(file: str, kernel: str, grid: Grid, arguments: dict[str, object], choices: Choices = NO_CHOICES) -> None:
        seen.add((file, kernel))
        original(file, kernel, grid, arguments, choices)

    device.launcher.launch = launch  # type: ignore[method-assign]
    return seen
