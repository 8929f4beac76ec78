"""How subjects are sampled, on a clock of the test's own."""

from __future__ import annotations

import pytest

from gpunn.timing.stopwatch import Series, Subject, Times, calls_of, interleave, sample
from tests.timing.fakes import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.perf_counter", made)
    return made


def test_a_sample_is_the_mean_of_calls_that_wait_once(clock: Clock) -> None:
    waits: list[float] = []

    def wait() -> None:
        waits.append(clock.now)
        clock.now += 0.5

    assert sample(Subject(clock.passing([1.0, 2.0]), wait), 2) == pytest.approx((1 + 2 + 0.5) / 2)
    assert waits == [0.0, 3.5]


def test_short_calls_are_many() -> None:
    assert [calls_of(seconds) for seconds in (1.0, 0.05, 0.02, 0.001, 0.0)] == [1, 1, 2, 50, 1000]


def test_a_fast_subject_has_four_calls_of_warm_up(clock: Clock) -> None:
    calls: list[float] = []
    passing = clock.passing([9.0, 9.0, 9.0, 0.01])
    Series(Subject(lambda: (calls.append(clock.now), passing()), lambda: None))
    # The second one is slow.
    assert len(calls) == 2
    calls.clear()
    passing = clock.passing([9.0, 0.1, 0.1, 0.016])
    series = Series(Subject(lambda: (calls.append(clock.now), passing()), lambda: None))
    assert len(calls) == 4
    series.take()
    # Of 0.016 s, three make a sample.
    assert len(calls) == 7
    assert series.times() == Times(*[pytest.approx(16.0)] * 3)


def test_medians_and_extremes(clock: Clock) -> None:
    series = Series(Subject(clock.passing([1.0, 1.0, 7.0, 2.0, 3.0]), lambda: None))
    for _ in range(3):
        series.take()
    assert series.times() == Times(pytest.approx(3000), pytest.approx(2000), pytest.approx(7000))


def test_subjects_take_turns(clock: Clock) -> None:
    order: list[str] = []

    def subject(name: str) -> Subject:
        passing = clock.passing([1.0])
        return Subject(lambda: (order.append(name), passing()), lambda: None)

    found = interleave({"a": subject("a"), "b": subject("b")}, rounds=2)
    assert order == ["a", "a", "b", "b", "a", "b", "a", "b"]
    assert set(found) == {"a", "b"}
