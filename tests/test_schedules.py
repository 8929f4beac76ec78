"""Schedules against their formulas, and what the command line accepts and refuses."""

from __future__ import annotations

from math import cos, exp, pi

import pytest

from gpunn.errors import UsageError
from gpunn.schedules import (
    FORMS,
    ConstantSchedule,
    CosineSchedule,
    DecaySchedule,
    ExponentialSchedule,
    InverseSchedule,
    MultiStepSchedule,
    PowerSchedule,
    Schedule,
    StepSchedule,
    WarmUp,
    parse_schedule,
)

STEPS = 4


def rates(schedule: Schedule, *epochs: float) -> list[float]:
    """The rates at these epochs, of four steps each."""
    return [schedule.learning_rate(int(epoch * STEPS), STEPS) for epoch in epochs]


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        (ConstantSchedule(0.3), (0, 100), [0.3, 0.3]),
        (StepSchedule(0.1, 30, 0.1), (0, 29.75, 30, 60, 95), [0.1, 0.1, 0.01, 0.001, 0.0001]),
        (MultiStepSchedule(0.1, (2, 5), 0.5), (0, 1.75, 2, 4.75, 5, 99), [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]),
        (ExponentialSchedule(0.2, 0.1), (0, 0.5, 3), [0.2, 0.2 * exp(-0.05), 0.2 * exp(-0.3)]),
        (InverseSchedule(0.2, 0.5), (0, 0.5, 2), [0.2, 0.16, 0.1]),
        (DecaySchedule(0.2, 1.0), (0, 0.75, 1, 3.5), [0.2, 0.2, 0.1, 0.05]),
        (PowerSchedule(0.2, 0.5), (0, 0.75, 1, 3.5), [0.2, 0.2, 0.1, 0.025]),
        (CosineSchedule(0.4, 8), (0, 2, 4, 8, 9), [0.4, 0.2 * (1 + cos(pi / 4)), 0.2, 0, 0]),
        (CosineSchedule(0.4, 8, 0.2), (0, 4, 8, 9), [0.4, 0.3, 0.2, 0.2]),
        (WarmUp(2, ConstantSchedule(0.8)), (0, 0.25, 1, 1.75, 2, 5), [0.1, 0.2, 0.5, 0.8, 0.8, 0.8]),
        (WarmUp(1, StepSchedule(0.8, 2, 0.5)), (0.5, 1.75, 2), [0.6, 0.8, 0.4]),
        (WarmUp(0.5, ConstantSchedule(1.0)), (0, 0.25, 0.5), [0.5, 1, 1]),
    ],
    ids=str,
)
def test_formulas(schedule: Schedule, epochs: tuple[float, ...], expected: list[float]) -> None:
    assert rates(schedule, *epochs) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant", ConstantSchedule(0.1)),
        ("step:30,0.1", StepSchedule(0.1, 30, 0.1)),
        (" step: 30, 0.1 ", StepSchedule(0.1, 30, 0.1)),
        ("multi-step:30,60,80,0.2", MultiStepSchedule(0.1, (30, 60, 80), 0.2)),
        ("exponential:0.05", ExponentialSchedule(0.1, 0.05)),
        ("inverse:0.5", InverseSchedule(0.1, 0.5)),
        ("decay:1", DecaySchedule(0.1, 1.0)),
        ("power:0.95", PowerSchedule(0.1, 0.95)),
        ("cosine", CosineSchedule(0.1, 90)),
        ("cosine:1e-4", CosineSchedule(0.1, 90, 1e-4)),
        ("warmup:2,cosine", WarmUp(2, CosineSchedule(0.1, 90))),
        ("warmup:0.5,step:30,0.1", WarmUp(0.5, StepSchedule(0.1, 30, 0.1))),
    ],
)
def test_parsing(text: str, expected: Schedule) -> None:
    assert parse_schedule(text, 0.1, 90) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linear",
        "step",
        "step:30",
        "step:30,0.1,5",
        "step:1.5,0.1",
        "step:0,0.1",
        "step:30,-1",
        "step:30,nan",
        "multi-step:0.1",
        "multi-step:60,30,0.1",
        "multi-step:0,0.1",
        "exponential:",
        "exponential:fast",
        "exponential:-1",
        "inverse:inf",
        "decay:-0.1",
        "power:0",
        "cosine:-1",
        "cosine:0.1,3",
        "constant:1",
        "warmup:2",
        "warmup:0,cosine",
        "warmup:two,cosine",
        "warmup:2,nothing",
    ],
)
def test_refusals_name_the_text_and_list_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_schedule(text, 0.1, 90)
    assert repr(text) in str(caught.value)
    assert FORMS in str(caught.value)


def test_every_example_among_the_forms_is_accepted() -> None:
    examples = [line.rsplit("such as ", 1)[1] for line in FORMS.splitlines() if "such as " in line]
    assert len(examples) == 7
    for example in examples:
        assert parse_schedule(example, 0.1, 90).learning_rate(0, 10) > 0


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="learning rate"):
        parse_schedule("constant", rate, 90)
