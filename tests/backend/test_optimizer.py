"""Optimisers against plain loops over single weights: trajectories of several steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gpunn.arena import Part, SegmentTable, place
from gpunn.backend.attributes import AdaGradRule, AdamRule, RmsPropRule, SgdRule
from gpunn.backend.contract import Device
from tests.backend.arrays import Host, upload
from tests.cases.optimizer import LARGE, MIXED
from tests.reference import optimizer as reference

Rule = SgdRule | AdamRule | RmsPropRule | AdaGradRule

STATES: dict[type[Rule], tuple[str, ...]] = {
    SgdRule: ("velocity",),
    AdamRule: ("first_moment", "second_moment"),
    RmsPropRule: ("mean_square",),
    AdaGradRule: ("sum_of_squares",),
}
RATE, SCALE = 0.05, 0.5


@dataclass
class Flat:
    """Weights and state of one optimiser on a device."""

    device: Device
    rule: Rule
    segments: SegmentTable
    parameters: Any
    states: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rule != SgdRule():
            zeros = np.zeros(self.segments.size, self.parameters.dtype)
            self.states = {name: upload(self.device, zeros) for name in STATES[type(self.rule)]}

    def update(self, gradients: Host, step: int, apply: int = 1, rate: float = RATE, scale: float = SCALE) -> None:
        """One step of the rule."""
        primitives = self.device.primitives
        functions: dict[type[Rule], Callable[..., None]] = {
            SgdRule: primitives.sgd,
            AdamRule: primitives.adam,
            RmsPropRule: primitives.rmsprop,
            AdaGradRule: primitives.adagrad,
        }
        states = [self.states.get(name) for name in STATES[type(self.rule)]]
        functions[type(self.rule)](
            self.device,
            self.parameters,
            *states,
            upload(self.device, gradients),
            upload(self.device, np.array([rate])),
            upload(self.device, np.array([scale])),
            upload(self.device, np.array([step])),
            upload(self.device, np.array([apply], np.int32)),
            self.segments,
            self.rule,
        )


RULES: tuple[Rule, ...] = (
    SgdRule(),
    SgdRule(0.9),
    SgdRule(0.9, "ema"),
    SgdRule(0.9, "ema", bias_correction=True),
    SgdRule(0.9, "nesterov"),
    AdamRule(),
    AdamRule(0.8, 0.95, 1e-3),
    AdamRule(0.8, 0.95, 1e-3, decoupled=True),
    RmsPropRule(),
    RmsPropRule(0.5, 1e-2),
    AdaGradRule(),
    AdaGradRule(0.1),
)


def scalar_step(rule: Rule, weight: reference.Weight, gradient: float, rate: float, decay: float, t: int) -> None:
    """One step of the rule on one weight."""
    decoupled = isinstance(rule, AdamRule) and rule.decoupled
    g = gradient + (0 if decoupled else decay * weight.w)
    match rule:
        case SgdRule(style="ema"):
            reference.averaged_momentum(weight, g, rate, rule.momentum, t if rule.bias_correction else None)
        case SgdRule(style="nesterov"):
            reference.nesterov(weight, g, rate, rule.momentum)
        case SgdRule():
            reference.classic_momentum(weight, g, rate, rule.momentum)
        case AdamRule():
            reference.adam(weight, g, rate, rule.beta1, rule.beta2, rule.eps, t, decay if decoupled else 0)
        case RmsPropRule():
            reference.rmsprop(weight, g, rate, rule.rho, rule.eps)
        case AdaGradRule():
            reference.adagrad(weight, g, rate, rule.delta)


def numbers(segments: SegmentTable, seed: int, dtype: Any = np.float64) -> Host:
    """Numbers in the parts, zeros in the gaps."""
    flat = np.zeros(segments.size, dtype)
    generator = np.random.default_rng(seed)
    for segment in segments:
        flat[segment.offset : segment.stop] = generator.normal(size=segment.size)
    return flat


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_trajectories_are_those_of_single_weights(device: Device, rule: Rule, dtype: Any) -> None:
    start = numbers(MIXED, 0, dtype)
    flat = Flat(device, rule, MIXED, upload(device, start))
    gradients = [numbers(MIXED, seed, dtype) for seed in range(1, 7)]
    for step, gradient in enumerate(gradients):
        flat.update(gradient, step, scale=SCALE if step % 2 else 1.0)
    found = device.download(flat.parameters)
    tolerance = 1e-13 if dtype == np.float64 else 2e-5
    for segment in MIXED:
        for i in range(segment.offset, segment.stop):
            weight = reference.Weight(float(start[i]))
            for step, gradient in enumerate(gradients if segment.trainable else ()):
                scaled = float(gradient[i]) * (SCALE if step % 2 else 1.0)
                scalar_step(rule, weight, scaled, RATE * segment.learning_rate_factor, segment.decay, step + 1)
            assert found[i] == pytest.approx(weight.w, rel=tolerance, abs=tolerance), (segment.name, i)
            for name, state in flat.states.items():
                expected = weight.remembered(name)
                assert device.download(state)[i] == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_void_step_changes_nothing(device: Device, rule: Rule) -> None:
    flat = Flat(device, rule, MIXED, upload(device, numbers(MIXED, 0)))
    flat.update(numbers(MIXED, 1), 0)
    before = [device.download(array) for array in (flat.parameters, *flat.states.values())]
    flat.update(np.full(MIXED.size, np.nan), 1, apply=0)
    after = [device.download(array) for array in (flat.parameters, *flat.states.values())]
    for first, second in zip(before, after, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_gaps_stay_zero_and_frozen_parts_stay(device: Device, rule: Rule) -> None:
    start = numbers(MIXED, 0)
    flat = Flat(device, rule, MIXED, upload(device, start))
    for step in range(3):
        flat.update(numbers(MIXED, 1), step)
    found = device.download(flat.parameters)
    inside = np.zeros(MIXED.size, bool)
    for segment in MIXED:
        inside[segment.offset : segment.stop] = True
    assert (found[~inside] == 0).all()
    frozen = MIXED["frozen.weight"]
    assert np.array_equal(found[frozen.offset : frozen.stop], start[frozen.offset : frozen.stop])


def test_ema_is_classic_with_a_smaller_rate(device: Device) -> None:
    a = 0.9
    start = numbers(MIXED, 0)
    averaged = Flat(device, SgdRule(a, "ema"), MIXED, upload(device, start))
    classic = Flat(device, SgdRule(a, "classic"), MIXED, upload(device, start))
    for step in range(10):
        averaged.update(numbers(MIXED, step), step, rate=RATE)
        classic.update(numbers(MIXED, step), step, rate=RATE * (1 - a))
    np.testing.assert_allclose(device.download(averaged.parameters), device.download(classic.parameters), rtol=1e-11)


def test_the_first_corrected_steps_are_the_gradient_and_its_sign(device: Device) -> None:
    """After one step the corrected mean is g itself, and Adam's step is the rate times the sign of g."""
    segments = place([Part("weight", (4,))])
    gradient = np.zeros(segments.size)
    gradient[:4] = [3, -2, 1e-3, -50]
    corrected = Flat(device, SgdRule(0.9, "ema", True), segments, upload(device, np.zeros(segments.size)))
    corrected.update(gradient, 0, scale=1)
    np.testing.assert_allclose(device.download(corrected.parameters)[:4], -RATE * gradient[:4], rtol=1e-12)
    adam = Flat(device, AdamRule(eps=0.0), place([Part("w", (64,))]), upload(device, np.zeros(64)))
    signs = np.where(np.arange(64) % 3, 7.0, -0.01)
    adam.update(signs, 0, scale=1)
    np.testing.assert_allclose(device.download(adam.parameters), -RATE * np.sign(signs), rtol=1e-12)


def test_exact_in_small_binary_numbers(device: Device) -> None:
    """Halves and integers have no rounding: two steps of momentum 1/2 by hand."""
    segments = place([Part("weight", (2,), decay=0.5)])
    flat = Flat(device, SgdRule(0.5), segments, upload(device, np.pad([8.0, -4.0], (0, 62)).astype(np.float32)))
    gradient = np.pad([2.0, 6.0], (0, 62)).astype(np.float32)
    flat.update(gradient, 0, rate=0.5, scale=0.5)
    assert device.download(flat.parameters)[:2].tolist() == [5.5, -4.5]
    flat.update(gradient, 1, rate=0.5, scale=0.5)
    assert device.download(flat.parameters)[:2].tolist() == [5.5 - 0.5 * (2.5 + 3.75), -4.5 - 0.5 * (0.5 + 0.75)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_work_that_is_cut_equals_the_formula_on_whole_arrays(device: Device, rule: Rule) -> None:
    start, gradient = numbers(LARGE, 0), numbers(LARGE, 1)
    flat = Flat(device, rule, LARGE, upload(device, start))
    flat.update(gradient, 0)
    found = device.download(flat.parameters)
    bias = LARGE["bias"]
    for i in (0, 262143, 262144, 524287, 524288, 600999, bias.offset, bias.stop - 1):
        weight = reference.Weight(float(start[i]))
        scalar_step(rule, weight, SCALE * float(gradient[i]), RATE, 0.01 if i < bias.offset else 0.0, 1)
        assert found[i] == pytest.approx(weight.w, rel=1e-13)
    inside = np.abs(gradient) > 1e-6
    assert (found[inside] != start[inside]).all()
