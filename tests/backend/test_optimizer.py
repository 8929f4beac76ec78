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
from gpunn.errors import UsageError
from tests.backend.arrays import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Host, unwritten, upload
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
#: A few roundings of the steps that a test takes; squares double the error of what is squared.
TOLERANCE = {FLOAT32: 2e-5, FLOAT64: 1e-13}


@dataclass
class Flat:
    """Weights and state of one optimiser on a device."""

    device: Device
    rule: Rule
    segments: SegmentTable
    parameters: Any
    states: dict[str, Any] = field(default_factory=dict)
    rounded: Any = None

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
            self.rounded,
            *states,
            upload(self.device, gradients),
            upload(self.device, np.array([rate], np.float64)),
            upload(self.device, np.array([scale], np.float64)),
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


def numbers(segments: SegmentTable, seed: int, dtype: Any) -> Host:
    """Numbers in the parts, zeros in the gaps."""
    flat = np.zeros(segments.size, dtype)
    generator = np.random.default_rng(seed)
    for segment in segments:
        flat[segment.offset : segment.stop] = generator.normal(size=segment.size)
    return flat


def all_of(flat: Flat) -> list[Host]:
    """Everything that a step may change."""
    arrays = [flat.parameters, *flat.states.values(), *([] if flat.rounded is None else [flat.rounded])]
    return [flat.device.download(array) for array in arrays]


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_trajectories_are_those_of_single_weights(device: Device, rule: Rule, dtype: Any) -> None:
    start = numbers(MIXED, 0, dtype)
    flat = Flat(device, rule, MIXED, upload(device, start))
    gradients = [numbers(MIXED, seed, dtype) for seed in range(1, 7)]
    for step, gradient in enumerate(gradients):
        flat.update(gradient, step, scale=SCALE if step % 2 else 1.0)
    found = device.download(flat.parameters)
    states = {name: device.download(state) for name, state in flat.states.items()}
    near = TOLERANCE[dtype]
    for segment in MIXED:
        for i in range(segment.offset, segment.stop):
            weight = reference.Weight(float(start[i]))
            for step, gradient in enumerate(gradients if segment.trainable else ()):
                scaled = float(gradient[i]) * (SCALE if step % 2 else 1.0)
                scalar_step(rule, weight, scaled, RATE * segment.learning_rate_factor, segment.decay, step + 1)
            assert found[i] == pytest.approx(weight.w, rel=near, abs=near), (segment.name, i)
            for name, state in states.items():
                assert state[i] == pytest.approx(weight.remembered(name), rel=near, abs=near)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_void_step_changes_nothing(device: Device, rule: Rule, dtype: Any) -> None:
    flat = Flat(device, rule, MIXED, upload(device, numbers(MIXED, 0, dtype)))
    flat.rounded = unwritten(device, (MIXED.size,), dtype, "plain")
    flat.update(numbers(MIXED, 1, dtype), 0)
    before = all_of(flat)
    flat.update(np.full(MIXED.size, np.nan, dtype), 1, apply=0)
    for first, second in zip(before, all_of(flat), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_gaps_stay_zero_and_frozen_parts_stay(device: Device, rule: Rule, dtype: Any) -> None:
    start = numbers(MIXED, 0, dtype)
    frozen = MIXED["frozen.weight"]
    start[frozen.offset : frozen.stop] = np.nan
    flat = Flat(device, rule, MIXED, upload(device, start))
    for step in range(3):
        flat.update(numbers(MIXED, 1, dtype), step)
    found = device.download(flat.parameters)
    inside = np.zeros(MIXED.size, bool)
    for segment in MIXED:
        inside[segment.offset : segment.stop] = True
    assert (found[~inside] == 0).all()
    assert np.isnan(found[frozen.offset : frozen.stop]).all()
    for state in flat.states.values():
        assert (device.download(state)[frozen.offset : frozen.stop] == 0).all()


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64, BFLOAT16, FLOAT16], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_rounded_copy_is_that_of_the_new_weights(device: Device, rule: Rule, dtype: Any) -> None:
    """The cast of NumPy rounds to the nearest; what no part that is trained holds is left alone."""
    master = FLOAT64 if dtype == FLOAT64 else FLOAT32
    flat = Flat(device, rule, MIXED, upload(device, numbers(MIXED, 0, master)))
    flat.rounded = unwritten(device, (MIXED.size,), dtype, "plain")
    flat.update(numbers(MIXED, 1, master), 0)
    weights, rounded = device.download(flat.parameters), device.download(flat.rounded)
    assert rounded.dtype == dtype
    for segment in MIXED:
        part = rounded[segment.offset : segment.stop].astype(np.float64)
        expected = weights[segment.offset : segment.stop].astype(dtype).astype(np.float64)
        np.testing.assert_array_equal(part, expected if segment.trainable else np.nan)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_ema_is_classic_with_a_smaller_rate(device: Device, dtype: Any) -> None:
    a = 0.9
    start = numbers(MIXED, 0, dtype)
    averaged = Flat(device, SgdRule(a, "ema"), MIXED, upload(device, start))
    classic = Flat(device, SgdRule(a, "classic"), MIXED, upload(device, start))
    for step in range(10):
        averaged.update(numbers(MIXED, step, dtype), step, rate=RATE)
        classic.update(numbers(MIXED, step, dtype), step, rate=RATE * (1 - a))
    near = TOLERANCE[dtype]
    np.testing.assert_allclose(
        device.download(averaged.parameters), device.download(classic.parameters), rtol=near, atol=near
    )


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_the_first_corrected_steps_are_the_gradient_and_its_sign(device: Device, dtype: Any) -> None:
    """After one step the corrected mean is g itself, and Adam's step is the rate times the sign of g."""
    segments = place([Part("weight", (4,))])
    gradient = np.zeros(segments.size, dtype)
    gradient[:4] = [3, -2, 1e-3, -50]
    corrected = Flat(device, SgdRule(0.9, "ema", True), segments, upload(device, np.zeros(segments.size, dtype)))
    corrected.update(gradient, 0, scale=1)
    near = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(device.download(corrected.parameters)[:4], -RATE * gradient[:4], rtol=near)
    adam = Flat(device, AdamRule(eps=0.0), place([Part("w", (64,))]), upload(device, np.zeros(64, dtype)))
    signs = np.where(np.arange(64) % 3, 7.0, -0.01).astype(dtype)
    adam.update(signs, 0, scale=1)
    np.testing.assert_allclose(device.download(adam.parameters), -RATE * np.sign(signs), rtol=near)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_exact_in_small_binary_numbers(device: Device, dtype: Any) -> None:
    """Halves and integers have no rounding: two steps of momentum 1/2 by hand."""
    segments = place([Part("weight", (2,), decay=0.5)])
    flat = Flat(device, SgdRule(0.5), segments, upload(device, np.pad([8.0, -4.0], (0, 62)).astype(dtype)))
    gradient = np.pad([2.0, 6.0], (0, 62)).astype(dtype)
    flat.update(gradient, 0, rate=0.5, scale=0.5)
    assert device.download(flat.parameters)[:2].tolist() == [5.5, -4.5]
    flat.update(gradient, 1, rate=0.5, scale=0.5)
    assert device.download(flat.parameters)[:2].tolist() == [5.5 - 0.5 * (2.5 + 3.75), -4.5 - 0.5 * (0.5 + 0.75)]


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("rule", [SgdRule(0.9, bias_correction=True), SgdRule(bias_correction=True)], ids=str)
def test_only_averages_are_corrected(device: Device, rule: SgdRule, dtype: Any) -> None:
    start, gradient = numbers(MIXED, 0, dtype), numbers(MIXED, 1, dtype)
    asked = Flat(device, rule, MIXED, upload(device, start))
    plain = Flat(device, SgdRule(rule.momentum), MIXED, upload(device, start))
    if not rule.momentum:
        asked.states = {}
    for flat in (asked, plain):
        flat.update(gradient, 0)
    np.testing.assert_array_equal(device.download(asked.parameters), device.download(plain.parameters))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_nothing_to_train(device: Device, dtype: Any) -> None:
    segments = place([Part("weight", (70,), trainable=False)])
    flat = Flat(device, SgdRule(), segments, upload(device, np.ones(128, dtype)))
    flat.update(np.ones(128, dtype), 0)
    np.testing.assert_array_equal(device.download(flat.parameters), 1)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_work_that_is_cut_equals_the_formula_on_whole_arrays(cpu: Device, rule: Rule) -> None:
    start, gradient = numbers(LARGE, 0, FLOAT64), numbers(LARGE, 1, FLOAT64)
    flat = Flat(cpu, rule, LARGE, upload(cpu, start))
    flat.update(gradient, 0)
    found = cpu.download(flat.parameters)
    bias = LARGE["bias"]
    for i in (0, 262143, 262144, 524287, 524288, 600999, bias.offset, bias.stop - 1):
        weight = reference.Weight(float(start[i]))
        scalar_step(rule, weight, SCALE * float(gradient[i]), RATE, 0.01 if i < bias.offset else 0.0, 1)
        assert found[i] == pytest.approx(weight.w, rel=1e-13)
    inside = np.abs(gradient) > 1e-6
    assert (found[inside] != start[inside]).all()


@pytest.mark.parametrize("dtype", [FLOAT32])
def test_arrays_that_are_not_flat_are_refused_on_cuda(device: Device, dtype: Any) -> None:
    if device.name == "cpu":
        pytest.skip("the CPU takes any array")
    zeros = upload(device, np.zeros(MIXED.size + 64, dtype))
    step, apply = upload(device, np.array([0])), upload(device, np.array([1], np.int32))
    rate = upload(device, np.array([RATE]))

    def sgd(parameters: Any, velocity: Any, gradients: Any, momentum: float = 0.9) -> None:
        controls = (rate, rate, step, apply)
        device.primitives.sgd(device, parameters, None, velocity, gradients, *controls, MIXED, SgdRule(momentum))

    whole = zeros[: MIXED.size]
    with pytest.raises(UsageError, match=r"momentum 0\.9 needs a velocity array"):
        sgd(whole, None, whole)
    with pytest.raises(UsageError, match="gradients has 64 elements; flat arrays must have one size"):
        sgd(whole, whole, whole[:64])
    with pytest.raises(UsageError, match=f"here at least {MIXED.size}"):
        sgd(whole[:64], whole[:64], whole[:64])
    with pytest.raises(UsageError, match="velocity lies at an address that is no multiple of 16"):
        sgd(whole, zeros[1 : 1 + MIXED.size], whole)
