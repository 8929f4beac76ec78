"""At evaluation, convolutions compute the batch norms behind them: which, and with what result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.graph import Node
from gpunn.layers import Add, BatchNorm, Conv2d, Flatten, GlobalMeanPool2d, Linear, ReLU, Tanh, image_input
from gpunn.precision import precision
from gpunn.program.call import Buffer
from gpunn.program.folding import fold_batch_norms
from gpunn.program.program import ProgramPlan
from gpunn.program.rewrites import optimise
from tests.networks import Trained, labelled
from tests.programs import plan, plan_as_emitted, plan_changed, run, specify

BATCH = 6


def scored(values: Node) -> Trained:
    return labelled(Linear(None, 3)(Flatten()(values)))


def chain() -> Trained:
    image = image_input((8, 7, 3))
    first = ReLU()(BatchNorm(name="first")(Conv2d(4, 3, stride=2, padding=1)(image)))
    second = Tanh()(BatchNorm(eps=1e-2, name="second")(Conv2d(6, 2, groups=2, bias=False)(first)))
    return scored(second)


def residual() -> Trained:
    image = image_input((6, 6, 2))
    begun = ReLU()(BatchNorm()(Conv2d(4, 3, padding=1, bias=False)(image)))
    branch = BatchNorm()(Conv2d(4, 3, padding=1, bias=False)(begun))
    return labelled(Linear(None, 3)(GlobalMeanPool2d()(ReLU()(Add()(branch, begun)))))


def primitives(found: ProgramPlan) -> list[str]:
    return [call.primitive for call in found.calls]


@pytest.mark.parametrize("build", [chain, residual], ids=lambda build: build.__name__)
def test_no_batch_norm_is_left_and_the_outputs_agree(cpu: Device, build: Callable[[], Trained]) -> None:
    trained = build()
    specification = specify(trained, BATCH, "evaluate", gradients_of=(trained.network.image,))
    found = plan(trained, cpu, replace(specification, gradients_of=()))
    assert primitives(found).count("fold_batch_norm") == 2
    assert "batch_norm_inference" not in primitives(found)
    expected = run(trained, cpu, plan_as_emitted(trained, cpu, specification))
    folded = run(trained, cpu, plan(trained, cpu, specification))
    assert folded.outputs.keys() == expected.outputs.keys()
    for name, values in expected.outputs.items():
        np.testing.assert_allclose(folded.outputs[name], values, rtol=1e-11, atol=1e-11, err_msg=name)


def test_the_activation_stays_part_of_the_convolution(cpu: Device) -> None:
    trained = chain()
    calls = plan(trained, cpu, specify(trained, BATCH, "evaluate")).calls
    convolutions = [call for call in calls if call.primitive == "convolution2d_forward"]
    assert [call.settings["activation"].name for call in convolutions] == ["relu", "tanh"]


def test_activations_that_are_fused_already_are_left_where_they_are(cpu: Device) -> None:
    """One behind a batch norm comes with it; one behind the convolution keeps them apart."""
    first = ReLU()(BatchNorm()(Conv2d(4, 3, padding=1)(image_input((6, 5, 3)))))
    trained = scored(BatchNorm()(ReLU()(Conv2d(6, 2)(first))))
    specification = specify(trained, BATCH, "evaluate")
    expected = run(trained, cpu, plan_as_emitted(trained, cpu, specification))
    late = plan_changed(trained, cpu, specification, lambda calls: fold_batch_norms(optimise(calls)))
    assert primitives(late).count("fold_batch_norm") == primitives(late).count("batch_norm_inference") == 1
    for name, values in run(trained, cpu, late).outputs.items():
        np.testing.assert_allclose(values, expected.outputs[name], rtol=1e-11, atol=1e-11, err_msg=name)


def test_nothing_is_folded_in_training(cpu: Device) -> None:
    trained = chain()
    assert "fold_batch_norm" not in primitives(plan(trained, cpu, specify(trained, BATCH)))


def test_a_convolution_that_is_kept_or_read_again_stays(cpu: Device) -> None:
    convolved = Conv2d(4, 3, padding=1, bias=False)(image_input((6, 6, 4)))
    trained = scored(BatchNorm()(convolved))
    kept = specify(trained, BATCH, "evaluate", keep=(convolved,))
    assert "fold_batch_norm" not in primitives(plan(trained, cpu, kept))
    read_again = scored(Add()(BatchNorm()(convolved), convolved))
    assert "fold_batch_norm" not in primitives(plan(read_again, cpu, specify(read_again, BATCH, "evaluate")))


def test_a_batch_norm_behind_something_else_stays(cpu: Device) -> None:
    trained = scored(BatchNorm()(ReLU()(Conv2d(4, 3, padding=1)(image_input((6, 6, 4))))))
    assert "fold_batch_norm" not in primitives(plan(trained, cpu, specify(trained, BATCH, "evaluate")))


def test_filters_that_outnumber_the_outputs_are_not_multiplied(cpu: Device) -> None:
    """3 x 3 x 4 weights a filter, and 2 x 3 x BATCH outputs."""
    trained = scored(BatchNorm()(Conv2d(5, 3)(image_input((4, 5, 4)))))
    assert "fold_batch_norm" in primitives(plan(trained, cpu, specify(trained, 6, "evaluate")))
    assert "fold_batch_norm" not in primitives(plan(trained, cpu, specify(trained, 5, "evaluate")))


def test_rounded_weights_are_rounded_once(cpu: Device) -> None:
    """The filters are made from the weights themselves, not from their rounded copy."""
    trained = chain()
    specification = replace(specify(trained, BATCH, "evaluate"), precision=precision("bfloat16"))
    calls = plan(trained, cpu, specification).calls
    fold = next(call for call in calls if call.primitive == "fold_batch_norm")
    weights, filters = fold.reads["w"], fold.writes["filters"]
    assert isinstance(weights, Buffer)
    assert isinstance(filters, Buffer)
    assert (weights.kind, str(weights.dtype), str(filters.dtype)) == ("parameter", "float32", "bfloat16")
