"""A step whole and in pieces is the same step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.models import model
from gpunn.timing.contestant import Task
from gpunn.timing.network_step import NetworkStep


@pytest.fixture(params=["cpu", "emulator"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    opened = backend.open(request.param)
    yield opened
    opened.close()


def task(name: str = "lenet", batch: int = 2, precision: str = "float32") -> Task:
    chosen = model(name)
    return Task(chosen, batch, precision, chosen.image, chosen.classes)


def momentum(step: NetworkStep) -> dict[str, np.ndarray]:
    return {name: values for name, values in step.state.export().items() if name.startswith("optimizer/")}


def test_pieces_do_what_a_step_does(device: Device) -> None:
    whole, cut = (NetworkStep(task(), device) for _ in range(2))
    for _ in range(2):
        whole.train()
        for piece in cut.pieces:
            piece.run()
    expected, found = momentum(whole), momentum(cut)
    for name, values in expected.items():
        assert np.abs(values).max() > 0
        np.testing.assert_array_equal(found[name], values)
    for name in ("step", "learning_rate", "first_image"):
        assert whole.state.read_control(name) == cut.state.read_control(name)
    assert cut.state.read_control("step") == 2
    assert not whole.is_void()
    for step in (whole, cut):
        step.close()


def test_every_piece_belongs_to_a_row(cpu: Device) -> None:
    step = NetworkStep(task(), cpu)
    rows = [piece.row for piece in step.pieces]
    assert rows[:3] == ["input", "input", "conv1"]
    assert rows[-1] == "optimizer"
    directions = {row: [piece.direction for piece in step.pieces if piece.row == row] for row in rows}
    assert directions["conv1"] == ["forward", "backward"]
    assert directions["conv2"] == ["forward", "backward", "backward"]
    assert set(directions["loss"]) == {"forward"}
    assert set(directions["optimizer"]) == {"backward"}
    # What is fused into the layer before has no row: LeNet's only ReLU of its own is the derivative before fc1.
    assert "relu3" not in rows
    step.close()


def test_operations_are_those_of_the_network(cpu: Device) -> None:
    """LeNet: forward twice 2,293,000 multiply-adds an image; backward twice that, without the first layer's image."""
    step = NetworkStep(task(batch=3), cpu)
    forward = 24 * 24 * 20 * 25 + 8 * 8 * 50 * 25 * 20 + 800 * 500 + 500 * 10
    first = 24 * 24 * 20 * 25
    assert sum(piece.cost.flops for piece in step.pieces) == 2 * 3 * (3 * forward - first)
    step.close()


def test_inference_changes_nothing(cpu: Device) -> None:
    step = NetworkStep(task("vgg11-bn-cifar"), cpu)
    before = step.state.export()
    step.infer()
    after = step.state.export()
    assert all(np.array_equal(values, after[name]) for name, values in before.items())
    step.close()


def test_half_precision_is_not_void_at_once() -> None:
    device = backend.open("emulator")
    step = NetworkStep(task("mlp", precision="float16"), device)
    step.train()
    assert step.state.read_control("finite_steps") == 1
    assert max(np.abs(values).max() for values in momentum(step).values()) > 0
    step.close()
    device.close()


def test_a_step_that_is_not_finite_is_void(cpu: Device) -> None:
    step = NetworkStep(task("mlp"), cpu)
    step.state.set_constant("image_mean", np.full(1, np.nan))
    weights = {name: np.full(values.shape, np.nan, values.dtype) for name, values in step.state.export().items()}
    step.state.load(weights)
    step.train()
    assert step.is_void()
    step.close()
