"""Every comparison that has a goal, and the chart of the kept ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import cpu_training, cpu_training_chart
from benchmarks.cpu import goals, networks
from benchmarks.cpu.goals import GOALS, Goal, verdict
from benchmarks.cpu.task import Case
from benchmarks.cpu_training_chart import bar, chosen, figure_of


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["cpu_training.py", *words])
    cpu_training.main()


def test_the_goals_are_those_of_the_table() -> None:
    must = {
        (goal.case.network, goal.case.batch): goal
        for goal in GOALS
        if goal.case.threads == 2 and goal.case.algorithm == "auto"
    }
    assert must["vgg16", 8].training == must["vgg16", 16].training == 0.55
    assert must["vgg16", 8].inference == must["vgg16", 16].inference == 0.85
    assert (must["alexnet", 32].training, must["alexnet", 32].inference) == (0.80, 0.85)
    assert (must["vgg11-bn-cifar", 128].training, must["lenet", 128].training) == (0.70, 1.5)
    assert must["resnet-like", 1].training == 1.2
    direct = [goal for goal in GOALS if goal.case.algorithm == "direct"]
    assert [(goal.case.network, goal.training) for goal in direct] == [("vgg16", 1.3)]
    assert all(goal.case.network in networks.NETWORKS for goal in GOALS)
    assert {goal.case.threads for goal in GOALS} == {1, 2}


def found_ratios(training: float, inference: float, memory: float | None) -> dict[str, Any]:
    return {
        "training_ratio": training,
        "training_ratio_spread": [training, training],
        "inference_ratio": inference,
        "inference_ratio_spread": [inference, inference],
        "peak_memory_ratio": memory,
        "warnings": [],
    }


def test_a_verdict_tells_what_was_missed() -> None:
    goal = Goal(Case("lenet", 128, 2), training=1.5)
    assert "MISSED" not in verdict(goal, found_ratios(1.5, 9.0, None))
    assert "training 1.51 (1.51 to 1.51) MISSED 1.50" in verdict(goal, found_ratios(1.51, 9.0, 0.5))
    assert "(not worth" in verdict(goal, {**found_ratios(1.0, 1.0, None), "warnings": ["busy"]})
    assert "memory 1.01 MISSED 1.00" in verdict(goal, found_ratios(1.0, 1.0, 1.01))


def test_all_goals_run_in_processes_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        commands.append(command)
        return SimpleNamespace(stdout=json.dumps(found_ratios(0.4, 0.5, 0.6)))

    monkeypatch.setattr(goals.subprocess, "run", run)
    run_main(monkeypatch, "--all", "--no-memory", "--keep", "--seconds", "3")
    assert len(commands) == len(GOALS) == len(capsys.readouterr().out.splitlines())
    first = " ".join(commands[0][1:])
    assert first.endswith(
        "cpu_training.py --network vgg16 --batch 8 --threads 2 --algorithm auto --json --seconds 3.0 "
        "--idle-threads ended --no-memory --keep"
    )


def test_all_ends_with_the_status_of_the_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(3, command)

    monkeypatch.setattr(goals.subprocess, "run", run)
    with pytest.raises(SystemExit) as ended:
        run_main(monkeypatch, "--all")
    assert ended.value.code == 3


def kept(network: str, batch: int, training: float, **changes: Any) -> dict[str, Any]:
    return {
        **found_ratios(training, 0.5, None),
        "network": network,
        "batch": batch,
        "threads": 2,
        "algorithm": "auto",
        "training_ratio_quartiles": [0.8 * training, 1.25 * training],
        "inference_ratio_quartiles": [0.5, 0.5],
        "gpunn_images_per_second": 12.0,
        "gpunn_inference_images_per_second": 3456.0,
        "machine": "a fast chip",
        "versions": {"numpy": "2.0"},
        "date": "2026-01-02T03:04:05+00:00",
        **changes,
    }


def test_the_chart_shows_the_last_result_of_each_network() -> None:
    old, new = kept("lenet", 128, 2.0), kept("lenet", 128, 0.5)
    others = [kept("lenet", 128, 0.1, threads=1), kept("lenet", 128, 0.1, algorithm="direct"), kept("odd", 32, 0.1)]
    results = [old, new, *others]
    assert chosen(results) == {("lenet", 128): new}
    shown = bar(new, "training")
    assert (shown.factor, shown.low, shown.high, shown.rate) == (2.0, 1.6, 2.5, 12.0)
    (axes,) = figure_of([*results, kept("vgg16", 16, 0.25)]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["VGG-16\nbatch 16", "LeNet\nbatch 128"]
    assert [patch.get_width() for patch in axes.patches] == [4.0, 2.0, 2.0, 2.0]
    texts = [text.get_text() for text in axes.texts]
    assert "3,456 images/s" in texts
    with pytest.raises(ValueError, match=r"no result is of .*vgg16"):
        figure_of([kept("odd", 32, 0.1)])


def test_a_chart_of_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cpu_training_chart, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["cpu_training_chart.py"])
    with pytest.raises(SystemExit):
        cpu_training_chart.main()
    assert "there are no results; make some with" in capsys.readouterr().err
