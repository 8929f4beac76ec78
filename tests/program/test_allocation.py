"""A step works in the memory that was planned for it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.program import plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification

#: Vectors with a number per channel, and what Python itself needs for a call; no image and no gradient is so small.
ALLOWED_BYTES = 160 * 1024


@pytest.mark.parametrize(("name", "batch"), [("lenet", 64), ("vgg11-bn-cifar", 8)])
def test_no_array_is_allocated_in_a_step(name: str, batch: int, cpu: Device) -> None:
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    objectives = (Objective(network.outputs[0], SoftmaxCrossEntropy()),)
    float32 = precision("float32")
    state = NetworkState(network, cpu, float32, Sgd(weight_decay=5e-4))
    state.initialize(0)
    (program,) = share_memory([plan_program(network, cpu, Specification(batch, "train", float32, objectives))], state)
    numbers = np.random.default_rng(0)
    program.write("image", numbers.normal(size=(batch, *chosen.image)))
    program.write("labels", numbers.integers(0, chosen.classes, batch))
    update = Update(state, UpdateSpecification(Sgd(weight_decay=5e-4)))

    def step() -> None:
        program.run()
        update.run()

    step()
    largest = max(placement.size for placement in program.plan.memory.placements)
    assert largest > 4 * ALLOWED_BYTES
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < ALLOWED_BYTES
