"""The gradient check itself: what it compares, what it refuses, and that wrong gradients do not slip through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpunn.backend import cpu as primitives
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import Flatten, Linear, ReLU, Tanh, image_input
from gpunn.network import Network
from gpunn.program.gradient_check import GradientCheck, GradientChecker
from tests.networks import norms, vector_batch_norm

TOLERANCE = 1e-6


def checks(network: Network, device: Device, samples: int, batch: int = 3) -> dict[str, GradientCheck]:
    return {found.name: found for found in GradientChecker(network, device, batch, seed=0).run(samples)}


def sparse() -> Network:
    """Hidden units of which a single image leaves about half without a gradient."""
    hidden = ReLU()(Linear(3, 40, name="hidden")(image_input((3,))))
    return Network(Linear(40, 2, name="scores")(hidden))


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray[Any, Any]], None]) -> None:
    """Change the weight gradients of linear layers after they were computed."""
    original = primitives.linear_backward_weight

    def spoilt(device: object, **arrays: Any) -> None:
        original(device, **arrays)
        change(arrays["gw"])

    monkeypatch.setattr(primitives, "linear_backward_weight", spoilt)


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_elements_that_have_a_gradient_are_compared(cpu: Device, monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
    """A check of zeros alone would agree to any factor."""
    spoil(monkeypatch, lambda gradient: np.multiply(gradient, 1.1, out=gradient))
    found = checks(sparse(), cpu, samples, batch=1)
    assert not found["hidden.weight"].agrees(TOLERANCE)
    assert not found["scores.weight"].agrees(TOLERANCE)
    assert found["hidden.bias"].agrees(TOLERANCE)


def test_some_zeros_are_compared_as_well(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, lambda gradient: gradient[: len(gradient) // 2].fill(0))
    assert not checks(sparse(), cpu, samples=8)["scores.weight"].agrees(TOLERANCE)


def test_a_parameter_without_a_gradient_agrees_only_when_it_is_frozen(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = sparse()
    network.layers[1].trainable = False
    frozen = checks(network, cpu, samples=3)["hidden.weight"]
    assert (frozen.samples, frozen.trained, frozen.agrees(TOLERANCE)) == (0, False, True)
    spoil(monkeypatch, lambda gradient: gradient.fill(0))
    lost = checks(sparse(), cpu, samples=3)["hidden.weight"]
    assert (lost.samples, lost.trained, lost.agrees(TOLERANCE)) == (0, True, False)


def test_biases_that_a_batch_norm_takes_away_agree(cpu: Device) -> None:
    """Their gradient is zero but for rounding, and so are the differences."""
    for network, bias in ((norms().network, "conv1.bias"), (vector_batch_norm().network, "linear1.bias")):
        found = checks(network, cpu, samples=4)
        assert all(check.agrees(TOLERANCE) for check in found.values()), found
        assert found[bias].samples == 4


def test_a_batch_norm_whose_bias_has_a_gradient_is_told_apart(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients as small as rounding, where differences are not."""
    spoil(monkeypatch, lambda gradient: np.multiply(gradient, 1e-18, out=gradient))
    assert not checks(sparse(), cpu, samples=3)["hidden.weight"].agrees(TOLERANCE)


def test_one_score_is_refused(cpu: Device) -> None:
    network = Network(Linear(None, 1, name="only")(Flatten()(Tanh()(image_input((2, 2, 1))))))
    with pytest.raises(UsageError, match="'only' gives one score, whose softmax is always 1; check with 2 classes"):
        GradientChecker(network, cpu, 2, seed=0)
