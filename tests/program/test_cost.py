"""The cost of calls, against figures counted by hand and published ones."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import model
from gpunn.precision import precision
from gpunn.program.call import Buffer, Call
from gpunn.program.cost import Cost, cost_of
from gpunn.program.program import plan_program
from gpunn.program.specification import Specification

FLOAT32 = np.dtype(np.float32)


def buffer(name: str, *shape: int) -> Buffer:
    return Buffer(name, shape, FLOAT32, "plain", "planned")


def test_every_array_counts_once() -> None:
    x, y = buffer("x", 10), buffer("y", 10)
    call = Call("activation_forward", "relu", "forward", {"y": y}, {"x": x}, {})
    assert cost_of(call) == Cost(0, 80)
    assert cost_of(Call("add", "sum", "forward", {"y": y}, {"xs": (x, x)}, {})) == Cost(0, 80)


def test_what_is_added_to_is_read_too() -> None:
    call = Call("copy", "sum", "backward", {"y": buffer("y", 10)}, {"x": buffer("x", 10)}, {"accumulate": True})
    assert cost_of(call) == Cost(0, 120)


def test_an_update_reads_what_it_changes_but_not_the_narrow_copy() -> None:
    """Ten weights, their velocity and their gradient wide; the copy, in half as many bytes, is written alone."""
    narrow = Buffer("rounded", (10,), np.dtype(np.float16), "plain", "flat")
    writes = {"parameters": buffer("w", 10), "rounded": narrow, "velocity": buffer("v", 10)}
    call = Call("sgd", "update", "update", writes, {"gradients": buffer("g", 10)}, {})
    assert cost_of(call) == Cost(0, 2 * 40 + 2 * 40 + 40 + 20)
    alone = Call("sgd", "update", "update", {**writes, "rounded": None}, {"gradients": buffer("g", 10)}, {})
    assert cost_of(alone) == Cost(0, 200)


def test_in_place_reads_and_writes() -> None:
    y = buffer("y", 10)
    assert cost_of(Call("activation_forward", "relu", "forward", {"y": y}, {"x": y}, {})) == Cost(0, 80)


def test_the_longer_time_is_the_floor() -> None:
    assert Cost(100, 100).floor_seconds(10.0, 1.0) == 100.0
    assert Cost(100, 100).floor_seconds(1.0, 10.0) == 100.0


@pytest.mark.parametrize(
    ("name", "forward", "training"),
    [("alexnet", 1.43e9, 4.14e9), ("vgg16", 30.94e9, 92.65e9)],
    ids=["alexnet", "vgg16"],
)
def test_a_whole_network(cpu: Device, name: str, forward: float, training: float) -> None:
    """Two operations per multiply-add; the first layer has no gradient of its input."""
    chosen = model(name)
    network = chosen.build(chosen.image, chosen.classes)
    objectives = (Objective(network.outputs[0], SoftmaxCrossEntropy()),)
    plan = plan_program(network, cpu, Specification(1, "train", precision("float32"), objectives))
    costs = {
        phase: sum(cost_of(call).flops for call in plan.calls if call.phase == phase)
        for phase in ("forward", "backward")
    }
    assert costs["forward"] == pytest.approx(forward, rel=2e-3)
    assert sum(costs.values()) == pytest.approx(training, rel=2e-3)
