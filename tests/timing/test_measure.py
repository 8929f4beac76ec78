"""Sides in turn, for as long as it was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpunn.models import model
from gpunn.timing.contestant import Task
from gpunn.timing.measure import Extent, measure
from gpunn.timing.report import Ceilings, Load, TimingReport
from gpunn.timing.stopwatch import Times
from tests.timing.fakes import Clock, FakeContestant

LENET = model("lenet")
TASK = Task(LENET, 8, "float32", LENET.image, LENET.classes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.perf_counter", made)
    return made


def run(clock: Clock, seconds: float, *contestants: FakeContestant, layers: bool = False) -> TimingReport:
    return measure(TASK, contestants, Extent(seconds, layers), lambda done, rounds: None, (0, 1), clock)


def test_images_a_second_are_those_of_the_median_step(clock: Clock) -> None:
    cpu = FakeContestant(clock, "cpu", [1.0, 1.0, 2.0, 4.0, 3.0], [0.5], threads=2)
    report = run(clock, 1.0, cpu)
    (device,) = report.devices
    assert (report.model, report.batch, report.precision) == ("lenet", 8, "float32")
    assert device.step_ms == Times(3000, 2000, 4000)
    assert device.training_images_per_second == pytest.approx(8 / 3)
    assert device.inference_images_per_second == pytest.approx(16)
    assert (device.ceilings, device.layers, device.cores, device.threads) == (None, (), (0, 1), 2)
    assert report.versions == {"cpu": "1.0"}


def test_the_report_says_what_was_asked_for_and_how_busy_the_machine_was(clock: Clock) -> None:
    side = FakeContestant(clock, "cpu", [1.0], [0.5])
    task = replace(TASK, algorithm="winograd")
    load = Load(0.5, 2)
    report = measure(task, [side], Extent(0.0, False), lambda done, rounds: None, load=load, clock=clock)
    assert (report.algorithm, report.load) == ("winograd", load)
    assert run(clock, 0.0, side).algorithm == "auto"


def test_sides_take_turns_within_a_round(clock: Clock) -> None:
    events: list[str] = []
    sides = [FakeContestant(clock, name, [1.0], [1.0], events=events) for name in ("cpu", "cuda:0")]
    run(clock, 0.0, *sides, layers=True)
    one, other = (["ceilings", "inference", *pair] * 2 for pair in (["training", "layers"], ["layers", "training"]))
    assert events[-3 * len(one) :] == one + other + one


def test_a_gpu_is_on_no_core(clock: Clock) -> None:
    (device,) = run(clock, 0.0, FakeContestant(clock, "cuda:0", [1.0], [1.0])).devices
    assert device.cores == ()


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (20.0, 10), (1e9, 200), (float("inf"), 200)])
def test_rounds_fill_the_time(clock: Clock, seconds: float, rounds: int) -> None:
    told: list[tuple[int, int]] = []
    side = FakeContestant(clock, "cpu", [1.5], [0.5])
    measure(TASK, [side], Extent(seconds, False), lambda done, of: told.append((done, of)), clock=clock)
    assert told[-1] == (rounds, rounds)
    assert [done for done, _ in told] == list(range(1, rounds + 1))


def test_ceilings_are_medians_without_the_first(clock: Clock) -> None:
    measured = [Ceilings(flops, 100 - flops, "a library") for flops in (99.0, 1.0, 3.0, 2.0)]
    side = FakeContestant(clock, "cpu", [1.0], [1.0], measured)
    (device,) = run(clock, 0.0, side).devices
    assert device.ceilings == Ceilings(2.0, 98.0, "a library")


def test_layers_have_a_sample_more_than_rounds(clock: Clock) -> None:
    side = FakeContestant(clock, "cpu", [1.0], [1.0])
    (device,) = run(clock, 0.0, side, layers=True).devices
    assert device.layers[0].forward_ms == 4
