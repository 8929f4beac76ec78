"""How often a run waits for its device: each reading of the sums does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpunn.program.state import NetworkState
from gpunn.schedules import ConstantSchedule
from gpunn.training import trainer
from gpunn.training.plan import Plan
from tests.training.runs import Setting, trainer_of

pytestmark = pytest.mark.usefixtures("no_curves")


def readings(path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan) -> int:
    """In a run that reports once an epoch."""
    original = NetworkState.read_totals
    count = 0

    def read_totals(state: NetworkState, position: int = 0) -> Any:
        nonlocal count
        count += 1
        return original(state, position)

    with monkeypatch.context() as patch, trainer_of(Setting(plan=plan), path) as training:
        patch.setattr(NetworkState, "read_totals", read_totals)
        patch.setattr(trainer, "REPORT_SECONDS", float("inf"))
        list(training.fit())
    return count


def test_passes_that_are_added_up_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those of 3 updates nor those of 9."""
    plans = [Plan(1, size, ConstantSchedule(0.01), accumulate=3) for size in (8, 2)]
    few, many = (readings(tmp_path / str(plan.batch_size), monkeypatch, plan) for plan in plans)
    assert 0 < few == many
