"""Golden trajectories: the first steps of a small network against numbers that plain loops have written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.network import Sequential
from gpunn.optimizers import Adam, Optimizer, Sgd
from gpunn.precision import precision
from gpunn.program.program import plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from tests.golden.trajectories import (
    CHANNELS,
    CLASSES,
    FILTERS,
    FOLDER,
    HEIGHT,
    IMAGES,
    LABELS,
    SIZE,
    STEPS,
    WIDTH,
    first_weights,
    pixels,
    trajectory,
)

OPTIMIZERS: dict[str, tuple[Optimizer, float]] = {"sgd": (Sgd(weight_decay=0.01), 0.1), "adam": (Adam(), 0.05)}


@pytest.mark.parametrize("number_type", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_steps_are_those_of_the_loops(cpu: Device, name: str, number_type: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text())
    network = Sequential(
        Conv2d(FILTERS, SIZE, padding="same", name="conv1"),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(None, CLASSES, name="fc2"),
    ).network((HEIGHT, WIDTH, CHANNELS))
    optimizer, rate = OPTIMIZERS[name]
    chosen = precision(number_type)
    objectives = (Objective(network.outputs[0], SoftmaxCrossEntropy()),)
    state = NetworkState(network, cpu, chosen, optimizer)
    given = {part.name: np.array(first_weights()[part.name]).reshape(part.shape) for part in state.parameters.table}
    state.parameters.load(given)
    state.set_control("loss_scale", 1 / IMAGES)
    state.set_control("learning_rate", rate)
    (program,) = share_memory([plan_program(network, cpu, Specification(IMAGES, "train", chosen, objectives))], state)
    program.write("image", np.array(pixels()))
    program.write("labels", np.array(LABELS, np.int32))
    update = Update(state, UpdateSpecification(optimizer))
    losses = []
    for _ in range(STEPS):
        program.run()
        losses.append(program.read("loss1").mean(dtype=np.float64))
        update.run()
    tolerance = 1e-11 if number_type == "float64" else 1e-4
    np.testing.assert_allclose(losses, golden["losses"], rtol=tolerance)
    for part, (total, squares) in golden["sums"].items():
        values = state.parameters.export()[part].astype(np.float64)
        assert (values**2).sum() == pytest.approx(squares, rel=tolerance), part
        assert values.sum() == pytest.approx(total, rel=tolerance, abs=tolerance), part


def test_the_script_still_writes_those_numbers() -> None:
    golden = json.loads((FOLDER / "sgd.json").read_text())
    assert trajectory("sgd")["losses"] == pytest.approx(golden["losses"], rel=1e-12)
