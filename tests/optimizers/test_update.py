"""Optimisers at work on a network's weights, against the textbook formulas on single numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np
import pytest

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import Linear
from gpunn.network import Sequential
from gpunn.optimizers import AdaGrad, Adam, AdamW, Optimizer, RmsProp, Sgd
from gpunn.precision import precision
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification

RATE = 0.1
DECAY = 0.01

#: Gradients that one weight sees, step after step.
GRADIENTS = (0.5, -1.25, 0.0, 2.0)

Rule = Callable[[float], Iterator[float]]


def classic(w: float) -> Iterator[float]:
    v = 0.0
    for gradient in GRADIENTS:
        v = 0.9 * v + gradient + DECAY * w
        w -= RATE * v
        yield w


def nesterov(w: float) -> Iterator[float]:
    v = 0.0
    for gradient in GRADIENTS:
        g = gradient + DECAY * w
        v = 0.9 * v + g
        w -= RATE * (g + 0.9 * v)
        yield w


def ema(w: float) -> Iterator[float]:
    v = 0.0
    for gradient in GRADIENTS:
        v = 0.9 * v + 0.1 * (gradient + DECAY * w)
        w -= RATE * v
        yield w


def ema_corrected(w: float) -> Iterator[float]:
    v = 0.0
    for t, gradient in enumerate(GRADIENTS, start=1):
        v = 0.9 * v + 0.1 * (gradient + DECAY * w)
        w -= RATE * v / (1 - 0.9**t)
        yield w


def plain(w: float) -> Iterator[float]:
    for gradient in GRADIENTS:
        w -= RATE * (gradient + DECAY * w)
        yield w


def adam(w: float) -> Iterator[float]:
    m = v = 0.0
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + DECAY * w
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w -= RATE * (m / (1 - 0.9**t)) / (sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


def adamw(w: float) -> Iterator[float]:
    m = v = 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w -= RATE * (m / (1 - 0.9**t)) / (sqrt(v / (1 - 0.999**t)) + 1e-8) + RATE * DECAY * w
        yield w


def rmsprop(w: float) -> Iterator[float]:
    r = 0.0
    for gradient in GRADIENTS:
        g = gradient + DECAY * w
        r = 0.9 * r + 0.1 * g * g
        w -= RATE * g / (sqrt(r) + 1e-8)
        yield w


def adagrad(w: float) -> Iterator[float]:
    r = 0.0
    for gradient in GRADIENTS:
        g = gradient + DECAY * w
        r += g * g
        w -= RATE * g / (1e-7 + sqrt(r))
        yield w


RULES: tuple[tuple[Optimizer, Rule], ...] = (
    (Sgd(DECAY, momentum=0.0), plain),
    (Sgd(DECAY), classic),
    (Sgd(DECAY, style="nesterov"), nesterov),
    (Sgd(DECAY, style="ema"), ema),
    (Sgd(DECAY, style="ema", bias_correction=True), ema_corrected),
    (Adam(DECAY), adam),
    (AdamW(DECAY), adamw),
    (RmsProp(DECAY), rmsprop),
    (AdaGrad(DECAY), adagrad),
)


class Bench:
    """Two linear layers of one weight and one bias each, whose gradients the test sets."""

    def __init__(self, device: Device, specification: UpdateSpecification) -> None:
        chain = Sequential(Linear(1, 1, name="first"), Linear(1, 1, name="second"))
        self.layers = chain.layers
        network = chain.network((1,))
        self.state = NetworkState(network, device, precision("float64"), specification.optimizer)
        self.update = Update(self.state, specification)
        self.state.parameters.load({name: np.full(part.shape, 0.75) for name, part in self._parts()})
        self.state.set_control("learning_rate", RATE)

    def _parts(self) -> Iterator[tuple[str, np.ndarray]]:
        return iter(self.state.parameters.export().items())

    def step(self, gradient: float) -> dict[str, float]:
        """All weights after an update in which every gradient was this one."""
        assert self.state.gradients is not None
        self.state.gradients.load({name: np.full(part.shape, gradient) for name, part in self._parts()})
        self.update.run()
        return {name: part.item() for name, part in self._parts()}


@pytest.mark.parametrize(("optimizer", "rule"), RULES, ids=[rule.__name__ for _, rule in RULES])
def test_weights_move_as_the_textbook_says(cpu: Device, optimizer: Optimizer, rule: Rule) -> None:
    bench = Bench(cpu, UpdateSpecification(optimizer))
    for gradient, expected in zip(GRADIENTS, rule(0.75), strict=True):
        moved = bench.step(gradient)
        assert moved["first.weight"] == pytest.approx(expected, rel=1e-12)
        assert moved["second.weight"] == moved["first.weight"]
    assert bench.state.read_control("step") == len(GRADIENTS)


def test_biases_are_spared_from_decay(cpu: Device) -> None:
    moved = Bench(cpu, UpdateSpecification(Sgd(0.5, momentum=0.0))).step(0.0)
    assert moved["first.bias"] == 0.75
    assert moved["first.weight"] == pytest.approx(0.75 * (1 - RATE * 0.5), rel=1e-14)


def test_ema_with_a_rate_equals_classic_with_a_tenth_of_it(cpu: Device) -> None:
    averaged = Bench(cpu, UpdateSpecification(Sgd(style="ema")))
    summed = Bench(cpu, UpdateSpecification(Sgd()))
    summed.state.set_control("learning_rate", RATE * (1 - 0.9))
    for gradient in GRADIENTS:
        assert averaged.step(gradient) == pytest.approx(summed.step(gradient), rel=1e-13)


@pytest.mark.parametrize("optimizer", [optimizer for optimizer, _ in RULES], ids=[rule.__name__ for _, rule in RULES])
def test_a_void_step_changes_nothing(cpu: Device, optimizer: Optimizer) -> None:
    bench = Bench(cpu, UpdateSpecification(optimizer))
    bench.step(1.0)
    before = bench.state.export()
    bench.state.set_control("apply", 0)
    bench.state.set_control("latched_step", 1)
    bench.step(float("nan"))
    after = bench.state.export()
    assert all(after[name].tobytes() == before[name].tobytes() for name in before)
    assert bench.state.read_control("step") == 1


def test_gradients_are_clipped_together(cpu: Device) -> None:
    """Four gradients of 3 have norm 6; at most 1.5 is left: a quarter of each."""
    bench = Bench(cpu, UpdateSpecification(Sgd(momentum=0.0), clip_norm=1.5))
    moved = bench.step(3.0)
    assert all(value == pytest.approx(0.75 - RATE * 0.75, rel=1e-12) for value in moved.values())
    assert bench.state.read_control("gradient_norm") == pytest.approx(6.0)
    small = bench.step(0.5)
    assert small["first.weight"] == pytest.approx(moved["first.weight"] - RATE * 0.5, rel=1e-12)


@pytest.mark.parametrize("gradient", [float("inf"), float("nan"), 1e200])
def test_a_gradient_whose_norm_is_not_finite_voids_and_latches_the_step(cpu: Device, gradient: float) -> None:
    """The square of 1e200 is too large for a float64. Scaling by 1.5 / infinity would make every weight NaN."""
    bench = Bench(cpu, UpdateSpecification(Adam(), clip_norm=1.5))
    bench.step(1.0)
    before = bench.state.export()
    bench.step(gradient)
    assert all(values.tobytes() == before[name].tobytes() for name, values in bench.state.export().items())
    assert bench.state.read_control("apply") == 0
    assert bench.state.read_control("latched_step") == 1
    assert bench.state.read_control("step") == 1


@pytest.mark.parametrize(("p", "slope"), [(1, 1.0), (2, 0.75), (3, 0.75**2)])
def test_penalties_pull_weights_but_not_biases(cpu: Device, p: float, slope: float) -> None:
    bench = Bench(cpu, UpdateSpecification(Sgd(momentum=0.0), (Penalty(p, 0.2),)))
    moved = bench.step(0.0)
    assert moved["second.weight"] == pytest.approx(0.75 - RATE * 0.2 * slope, rel=1e-12)
    assert moved["second.bias"] == 0.75


def test_layers_have_rates_of_their_own(cpu: Device) -> None:
    chain = Sequential(Linear(1, 1, name="slow"), Linear(1, 1, name="fast"), Linear(1, 1, name="still"))
    chain.layers[0].learning_rate_factor = 0.1
    chain.layers[2].trainable = False
    state = NetworkState(chain.network((1,)), cpu, precision("float64"), Sgd(momentum=0.0))
    assert state.gradients is not None
    state.gradients.load({name: np.ones(part.shape) for name, part in state.gradients.export().items()})
    state.set_control("learning_rate", RATE)
    Update(state, UpdateSpecification(Sgd(momentum=0.0))).run()
    moved = {name: part.item() for name, part in state.parameters.export().items()}
    assert moved["slow.weight"] == pytest.approx(-0.01)
    assert moved["fast.weight"] == pytest.approx(-0.1)
    assert moved["still.weight"] == 0.0


def test_state_has_textbook_names() -> None:
    assert Sgd().state == ("momentum",)
    assert Sgd(momentum=0.0).state == ()
    assert Adam().state == AdamW().state == ("first_moment", "second_moment")
    assert RmsProp().state == ("mean_square",)
    assert AdaGrad().state == ("sum_of_squares",)


def test_state_is_exported_and_loaded_by_name(cpu: Device) -> None:
    optimizer = Adam(DECAY)
    bench = Bench(cpu, UpdateSpecification(optimizer))
    bench.step(1.0)
    saved = bench.state.export()
    assert saved["optimizer/first_moment/first.weight"].item() == pytest.approx(0.1 * (1.0 + DECAY * 0.75))
    assert {name: values.shape for name, values in saved.items()} == bench.state.expected()
    other = Bench(cpu, UpdateSpecification(optimizer))
    other.state.load(saved)
    other.state.set_control("step", 1)
    assert other.step(-0.5) == bench.step(-0.5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Sgd(momentum=1.0), "momentum is 1.0; it must be at least 0 and below 1"),
        (lambda: Sgd(momentum=-0.1), "momentum is -0.1"),
        (lambda: Adam(beta1=1.0), "beta1 is 1.0"),
        (lambda: AdamW(beta2=-1.0), "beta2 is -1.0"),
        (lambda: RmsProp(rho=2.0), "rho is 2.0"),
        (lambda: AdaGrad(weight_decay=-1e-4), "weight decay is -0.0001; it must be a finite number"),
        (lambda: Sgd(weight_decay=float("nan")), "weight decay is nan"),
        (lambda: Sgd(style="foo"), "style is 'foo'"),
        (lambda: Adam(eps=-1.0), "eps is -1.0"),
        (lambda: AdaGrad(delta=float("inf")), "delta is inf"),
        (lambda: UpdateSpecification(Sgd(), clip_norm=0.0), "clip_norm is 0.0; it must be above 0 and finite, or None"),
        (lambda: UpdateSpecification(Sgd(), clip_norm=float("nan")), "clip_norm is nan"),
    ],
)
def test_numbers_outside_their_range_are_refused(make: Callable[[], Optimizer], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()
