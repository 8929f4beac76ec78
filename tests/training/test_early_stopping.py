"""Early stopping: what counts as better, when the patience is used up, and that a resumed run goes on the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpunn.errors import UsageError
from gpunn.training.early_stopping import EarlyStopping

NAN = float("nan")
INFINITY = float("inf")


def run(stopping: EarlyStopping, values: list[float]) -> tuple[list[bool], int | None]:
    """Which epochs were the best so far, and the epoch at which the run ended."""
    improved = []
    for epoch, value in enumerate(values, start=1):
        improved.append(stopping.update(epoch, value))
        if stopping.should_stop:
            return improved, epoch
    return improved, None


@pytest.mark.parametrize(
    ("stopping", "values", "improved", "end"),
    [
        (EarlyStopping(2, "max"), [0.5, 0.6, 0.6, 0.55, 0.9], [True, True, False, False], 4),
        (EarlyStopping(2, "min"), [2.0, 1.0, 1.5, 0.5, 0.5, 0.5], [True, True, False, True, False, False], 6),
        (EarlyStopping(2, "max", 0.1), [0.5, 0.55, 0.65, 0.7, 0.74], [True, False, True, False, False], 5),
        (EarlyStopping(1, "min", 0.5), [2.0, 1.5, 0.1], [True, False], 2),
        (EarlyStopping(None, "max"), [0.5] * 50, [True] + [False] * 49, None),
        (EarlyStopping(3, "min"), [NAN, 5.0, NAN, NAN, NAN], [False, True, False, False, False], 5),
        (EarlyStopping(3, "min"), [INFINITY, 5.0, INFINITY], [True, True, False], None),
    ],
)
def test_what_counts_and_when_it_ends(
    stopping: EarlyStopping, values: list[float], improved: list[bool], end: int | None
) -> None:
    assert run(stopping, values) == (improved, end)


def test_the_best_is_remembered() -> None:
    stopping = EarlyStopping(2, "max")
    run(stopping, [0.5, 0.75, 0.25])
    assert (stopping.best, stopping.best_epoch, stopping.epochs_without_improvement) == (0.75, 2, 1)


def test_a_state_through_json_goes_on_the_same() -> None:
    values = [0.5, 0.75, 0.25, 0.75, 0.5]
    whole = EarlyStopping(3, "max", 0.01)
    run(whole, values)
    for cut in range(len(values)):
        part = EarlyStopping(3, "max", 0.01)
        run(part, values[:cut])
        part = EarlyStopping.from_manifest(json.loads(json.dumps(part.to_manifest())))
        for epoch, value in enumerate(values[cut:], start=cut + 1):
            part.update(epoch, value)
        assert part == whole


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"patience": 0, "direction": "max"}, "patience 0"),
        ({"patience": 2, "direction": "up"}, "'up'"),
        ({"patience": 2, "direction": "max", "minimum_change": -1.0}, "minimum change -1.0"),
        ({"patience": 2, "direction": "max", "minimum_change": NAN}, "minimum change nan"),
    ],
)
def test_settings_that_are_not_possible_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        EarlyStopping(**settings)
