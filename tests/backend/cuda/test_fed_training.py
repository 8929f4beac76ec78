"""A network that learns from batches which the GPU itself reads learns what it learns in the emulator, bit for bit."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.gpu import cupy_memory
from gpunn.backend.emulator import open_emulator
from gpunn.data.loading.loader import Loader
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training.learner import Learner
from gpunn.training.rule import Rule
from tests.backend.cuda.fake_cupy import HOST_TO_DEVICE, OUT_OF_MEMORY, Machine
from tests.backend.cuda.fake_streams import CUDARuntimeError
from tests.training.runs import SIZE, network, preprocessing_of, stripes

BATCH = 8
EPOCHS = 2
BYTES = BATCH * SIZE * SIZE


def learn(device: CudaDevice, *, pins: bool) -> dict[str, np.ndarray]:
    """Weights, statistics and totals; the last batch of an epoch is a short one."""
    split = stripes(train=46)
    preprocessing = preprocessing_of(split)
    learner = Learner(network(), device, precision("float32"), preprocessing, Rule(Sgd(momentum=0.9), seed=4))
    pin = device.pin if pins else None
    options: dict[str, Any] = {
        "batch_size": BATCH,
        "seed": 2,
        "shuffle": True,
        "workers": 1,
        "worker_kind": "threads",
        "pin": pin,
    }
    with closing(Loader(split.train, preprocessing, **options)) as loader:
        for epoch in range(EPOCHS):
            for batch in loader.batches(epoch):
                learner.learn(batch, first=0, images=len(batch))
                learner.update(0.05)
    return {**learner.state.export(), "totals": np.array(learner.sums())}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    device = open_emulator()
    result = learn(device, pins=False)
    device.close()
    return result


@pytest.mark.parametrize("eager", [{0}, {1}, set()], ids=["kernels early", "copies early", "late"])
@pytest.mark.parametrize("refused", [False, True], ids=["pinned", "refused"])
def test_training_from_pinned_batches(
    fake_device: CudaDevice,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    expected: dict[str, np.ndarray],
    eager: set[int],
    refused: bool,
) -> None:
    monkeypatch.setattr(cupy_memory, "LARGE", BYTES // 2)
    if refused:
        machine.failing["hostRegister"] = CUDARuntimeError(OUT_OF_MEMORY)
    machine.eager = eager
    found = learn(fake_device, pins=True)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name
    images = [copy.size for copy in machine.copies if (copy.kind, copy.stream) == (HOST_TO_DEVICE, 1)]
    assert images == ([] if refused else [*[BYTES] * 5, BYTES * 6 // 8] * EPOCHS)
    assert machine.registered == {}
