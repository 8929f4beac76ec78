"""Rewrites: fewer calls, fewer buffers, and the same bits; and programs on memory full of NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.graph import Node
from gpunn.layers import Add, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Swish, Tanh, image_input
from gpunn.layers.layer import Layer
from gpunn.program.memory_plan import lives
from gpunn.program.specification import Mode
from tests.networks import NETWORKS, Trained, branches, labelled, plain
from tests.programs import plan, plan_without_rewrites, run, specify

CASES = pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@CASES
def test_rewrites_change_no_bit(cpu: Device, build: Callable[[], Trained], mode: Mode) -> None:
    trained = build()
    specification = specify(trained, 3, mode)
    rewritten = run(trained, cpu, plan(trained, cpu, specification))
    as_emitted = run(trained, cpu, plan_without_rewrites(trained, cpu, specification))
    assert rewritten.equals(as_emitted)


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@CASES
def test_nothing_is_read_that_was_not_written(cpu: Device, build: Callable[[], Trained], mode: Mode) -> None:
    trained = build()
    found = plan(trained, cpu, specify(trained, 3, mode, gradients_of=(trained.network.image,)))
    on_nan = run(trained, cpu, found, filling=0xFF)
    on_zeros = run(trained, cpu, found, filling=0x00)
    assert on_nan.equals(on_zeros)
    assert all(np.isfinite(values).all() for values in (*on_nan.outputs.values(), *on_nan.gradients.values()))


@CASES
def test_the_same_program_gives_the_same_bits_twice(cpu: Device, build: Callable[[], Trained]) -> None:
    trained = build()
    found = plan(trained, cpu, specify(trained, 3))
    assert run(trained, cpu, found).equals(run(trained, cpu, found))


def primitives(trained: Trained, device: Device, mode: Mode = "train") -> list[str]:
    """The primitives of a program in order."""
    return [call.primitive for call in plan(trained, device, specify(trained, 3, mode)).calls]


def test_an_activation_joins_the_layer_before_it(cpu: Device) -> None:
    assert "activation_forward" not in primitives(plain(), cpu)
    trained = plain()
    fused = plan(trained, cpu, specify(trained, 3)).calls[0]
    assert fused.primitive == "convolution2d_forward"
    assert fused.settings["activation"].name == "relu"


def test_an_activation_whose_input_is_read_again_stays(cpu: Device) -> None:
    image = image_input((4, 4, 1))
    convolved = Conv2d(2, 3)(image)
    trained = labelled(Linear(None, 3)(Flatten()(Swish()(convolved))))
    assert "activation_forward" in primitives(trained, cpu)
    assert "activation_forward" not in primitives(trained, cpu, "evaluate")


def test_an_activation_of_a_kept_output_stays(cpu: Device) -> None:
    image = image_input((4, 4, 1))
    convolved = Conv2d(2, 3)(image)
    trained = labelled(Linear(None, 3)(Flatten()(ReLU()(convolved))))
    calls = plan(trained, cpu, specify(trained, 3, keep=(convolved,))).calls
    assert "activation_forward" in [call.primitive for call in calls]


def behind_dropout() -> Trained:
    """Dropout's backward cannot take the derivative of the activation before it."""
    image = image_input((4, 4, 1))
    return labelled(Linear(None, 3)(Flatten()(Dropout(0.5)(ReLU()(Conv2d(2, 3)(image))))))


def test_gradients_of_activations_are_written_over_those_that_came(cpu: Device) -> None:
    trained = behind_dropout()
    calls = plan(trained, cpu, specify(trained, 3)).calls
    backward = [call for call in calls if call.primitive == "activation_backward"]
    assert backward
    assert all(call.writes["gx"] == call.reads["gy"] for call in backward)


def test_a_derivative_joins_the_backward_pass_behind_it(cpu: Device) -> None:
    activated = ReLU()(Conv2d(2, 3)(image_input((6, 6, 1))))
    trained = labelled(Linear(None, 3)(Flatten()(Conv2d(2, 1)(activated))))
    calls = plan(trained, cpu, specify(trained, 3)).calls
    assert "activation_backward" not in [call.primitive for call in calls]
    (fused,) = (call for call in calls if call.primitive == "convolution2d_backward_data")
    assert fused.settings["activation"].name == "relu"
    assert fused.reads["saved"] == calls[0].writes["y"]


def test_a_derivative_passes_a_pooling_and_joins_what_is_behind_that(cpu: Device) -> None:
    """Then nothing after the pooling reads its input."""
    activated = ReLU()(Conv2d(2, 3)(image_input((8, 8, 1))))
    trained = labelled(Linear(None, 3)(Flatten()(Conv2d(2, 1)(MaxPool2d(3, 2)(activated)))))
    calls = plan(trained, cpu, specify(trained, 3)).calls
    assert "activation_backward" not in [call.primitive for call in calls]
    (fused,) = (call for call in calls if call.primitive == "convolution2d_backward_data")
    (pooling,) = (call for call in calls if call.primitive == "maximum_pool2d_forward")
    assert fused.settings["activation"].name == "relu"
    assert fused.reads["saved"] == pooling.writes["y"]
    assert lives(calls)[pooling.reads["x"]].last == calls.index(pooling)


@pytest.mark.parametrize("function", [Tanh, Swish])
def test_another_derivative_stays_behind_its_pooling(cpu: Device, function: Callable[[], Layer]) -> None:
    activated = function()(Conv2d(2, 3)(image_input((8, 8, 1))))
    trained = labelled(Linear(None, 3)(Flatten()(MaxPool2d(3, 2)(activated))))
    primitives = [call.primitive for call in plan(trained, cpu, specify(trained, 3)).calls]
    assert primitives.index("maximum_pool2d_backward") < primitives.index("activation_backward")


def test_a_derivative_whose_gradient_is_added_to_another_stays(cpu: Device) -> None:
    activated = ReLU()(Conv2d(2, 3)(image_input((6, 6, 1))))
    summed = Add()(Conv2d(2, 1)(activated), Conv2d(2, 1)(activated))
    trained = labelled(Linear(None, 3)(Flatten()(summed)))
    calls = plan(trained, cpu, specify(trained, 3)).calls
    assert "activation_backward" in [call.primitive for call in calls]


def test_a_copy_whose_source_nobody_needs_vanishes(cpu: Device) -> None:
    trained = branches()
    emitted = plan_without_rewrites(trained, cpu, specify(trained, 3)).calls
    rewritten = plan(trained, cpu, specify(trained, 3)).calls
    copies = [sum(call.primitive == "copy" for call in calls) for calls in (emitted, rewritten)]
    assert copies[1] < copies[0]


def residual(*, swapped: bool = False) -> Trained:
    """Two skip connections, one of them through a projection."""
    image = image_input((6, 6, 2))
    values: Node = ReLU(name="relu0")(Conv2d(4, 3, padding=1, name="conv0")(image))
    for number, (stride, filters) in enumerate(((1, 4), (2, 6)), 1):
        wide = Conv2d(filters, 3, stride=stride, padding=1, name=f"wide{number}")(values)
        branch = BatchNorm(name=f"norm{number}")(wide)
        shortcut = values if stride == 1 else Conv2d(filters, 1, stride=stride, name=f"projection{number}")(values)
        both = (shortcut, branch) if swapped else (branch, shortcut)
        values = ReLU(name=f"relu{number}")(Add(name=f"sum{number}")(*both))
    return labelled(Linear(None, 3, name="scores")(Flatten(name="flatten")(values)))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_gradient_of_a_sum_is_that_of_its_inputs_without_a_copy(cpu: Device, swapped: bool) -> None:
    trained = residual(swapped=swapped)
    specification = specify(trained, 3)
    found = plan(trained, cpu, specification)
    assert "copy" not in [call.primitive for call in found.calls]
    as_emitted = run(trained, cpu, plan_without_rewrites(trained, cpu, specification))
    assert run(trained, cpu, found, filling=0xFF).equals(as_emitted)


def test_a_copy_stays_where_its_source_is_needed_after_another_gradient_was_added(cpu: Device) -> None:
    image = image_input((4, 4, 2))
    first = Conv2d(2, 3, padding=1, name="first")(image)
    second = Tanh(name="second")(first)
    # What comes first in the network has its backward pass last: the gradient of `first` has grown by then.
    last = Swish(name="last")(Conv2d(2, 1, name="narrow")(image))
    trained = labelled(Linear(None, 3, name="scores")(Flatten(name="flatten")(Add(name="sum")(last, first, second))))
    specification = specify(trained, 3)
    assert "copy" in [call.primitive for call in plan(trained, cpu, specification).calls]
    as_emitted = run(trained, cpu, plan_without_rewrites(trained, cpu, specification))
    assert run(trained, cpu, plan(trained, cpu, specification), filling=0xFF).equals(as_emitted)


def test_batch_norm_takes_its_activation(cpu: Device) -> None:
    image = image_input((4, 4, 1))
    trained = labelled(Linear(None, 3)(Flatten()(ReLU()(BatchNorm()(Conv2d(2, 3, bias=False)(image))))))
    calls = plan(trained, cpu, specify(trained, 3)).calls
    assert [call.primitive for call in calls][:3] == ["convolution2d_forward", "batch_norm_forward", "flatten_forward"]
    assert calls[1].settings["activation"].name == "relu"
