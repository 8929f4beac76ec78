"""Losses in whole programs against formulas over single numbers."""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import Conv2d, Linear, image_input
from gpunn.losses import (
    BinaryCrossEntropy,
    Loss,
    Objective,
    SoftmaxCrossEntropy,
    SoftTargetCrossEntropy,
    SquaredError,
    target_shape,
)
from gpunn.network import Network
from gpunn.program.program import Program
from tests.networks import Trained
from tests.programs import Host, bind, plan, specify, state_of

SCORES = [[1.5, -2.0, 0.25], [0.0, 3.0, 3.0], [-700.0, 10.0, 0.5]]
LABELS = [0, 2, 1]
MIXTURES = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]


def log_softmax(row: list[float], index: int) -> float:
    largest = max(row)
    return row[index] - largest - log(sum(exp(score - largest) for score in row))


def cross_entropy(row: list[float], mixture: list[float], smoothing: float) -> float:
    shares = [(1 - smoothing) * share + smoothing / len(row) for share in mixture]
    return -sum(share * log_softmax(row, index) for index, share in enumerate(shares))


def one_hot(label: int) -> list[float]:
    return [float(index == label) for index in range(3)]


def run(device: Device, loss: Loss, targets: object, weight: float = 1.0, scale: float = 1.0) -> tuple[Program, Host]:
    """The loss of SCORES, which pass through a layer of weights 1, and the gradient of the scores."""
    image = image_input((3,))
    scores = Linear(3, 3, bias=False, name="scores")(image)
    trained = Trained(Network(scores), (Objective(scores, loss, weight, "target"),))
    state = state_of(trained, device)
    state.parameters.load({"scores.weight": np.eye(3)})
    state.set_control("loss_scale", scale)
    program = bind(plan(trained, device, specify(trained, 3, gradients_of=(scores,))), state)
    program.write("image", np.array(SCORES))
    program.write("target", np.array(targets, np.int32 if loss.target == "labels" else np.float64))
    program.run()
    return program, program.read("grad scores")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_cross_entropy(cpu: Device, smoothing: float) -> None:
    program, gradient = run(cpu, SoftmaxCrossEntropy(smoothing), LABELS)
    expected = [cross_entropy(row, one_hot(label), smoothing) for row, label in zip(SCORES, LABELS, strict=True)]
    np.testing.assert_allclose(program.read("loss1"), expected, rtol=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0.0, atol=1e-14)
    # The second image has two equal scores: the earlier class counts as above the label.
    assert program.read("ranks1").tolist() == [0, 1, 0]


def test_soft_targets(cpu: Device) -> None:
    program, gradient = run(cpu, SoftTargetCrossEntropy(0.2), MIXTURES)
    expected = [cross_entropy(row, mixture, 0.2) for row, mixture in zip(SCORES, MIXTURES, strict=True)]
    np.testing.assert_allclose(program.read("loss1"), expected, rtol=1e-12)
    softmax = [exp(log_softmax(SCORES[0], index)) for index in range(3)]
    shares = [0.8 * share + 0.2 / 3 for share in MIXTURES[0]]
    np.testing.assert_allclose(gradient[0], np.array(softmax) - shares, rtol=1e-12)


def test_binary_cross_entropy_sums_over_the_outputs(cpu: Device) -> None:
    program, gradient = run(cpu, BinaryCrossEntropy(), MIXTURES)

    def one(score: float, target: float) -> float:
        return max(score, 0.0) + log1p(exp(-abs(score))) - target * score

    expected = [
        sum(one(score, target) for score, target in zip(row, targets, strict=True))
        for row, targets in zip(SCORES, MIXTURES, strict=True)
    ]
    np.testing.assert_allclose(program.read("loss1"), expected, rtol=1e-12)
    assert gradient[0, 0] == pytest.approx(1 / (1 + exp(-1.5)) - 0.2, rel=1e-12)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_squared_error_with_and_without_the_half(cpu: Device, factor: float) -> None:
    program, gradient = run(cpu, SquaredError(factor), MIXTURES)
    difference = np.array(SCORES) - MIXTURES
    np.testing.assert_allclose(program.read("loss1"), [factor * sum(d * d for d in row) for row in difference])
    np.testing.assert_allclose(gradient, 2 * factor * difference, rtol=1e-12)


def test_weight_and_scale_multiply_the_gradient_and_leave_the_loss(cpu: Device) -> None:
    plain, gradient = run(cpu, SoftmaxCrossEntropy(), LABELS)
    weighted, larger = run(cpu, SoftmaxCrossEntropy(), LABELS, weight=3.0, scale=0.25)
    assert weighted.read("loss1").tobytes() == plain.read("loss1").tobytes()
    np.testing.assert_allclose(larger, 0.75 * gradient, rtol=1e-14)


def test_labels_are_one_number_an_image_and_values_one_an_output() -> None:
    scores = Linear(3, 4)(image_input((3,)))
    assert target_shape(Objective(scores, SoftmaxCrossEntropy()), 5) == (5,)
    assert target_shape(Objective(scores, SquaredError()), 5) == (5, 4)


def test_an_image_is_refused_with_the_name_of_its_node() -> None:
    convolved = Conv2d(2, 3, name="c")(image_input((4, 4, 1)))
    with pytest.raises(UsageError, match=r"needs a vector, got 2x2x2 from 'c': put a Flatten\(\)"):
        Objective(convolved, SoftmaxCrossEntropy())


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(weight: float) -> None:
    scores = Linear(3, 4, name="scores")(image_input((3,)))
    with pytest.raises(UsageError, match=f"the loss of 'scores' has weight {weight}; it must be finite"):
        Objective(scores, SquaredError(), weight)
    with pytest.raises(UsageError, match=f"factor {weight}; it must be above 0 and finite"):
        SquaredError(weight)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
@pytest.mark.parametrize("kind", [SoftmaxCrossEntropy, SoftTargetCrossEntropy])
def test_smoothing_is_a_share(kind: type[SoftmaxCrossEntropy], smoothing: float) -> None:
    with pytest.raises(UsageError, match=f"label smoothing is {smoothing}"):
        kind(smoothing)
