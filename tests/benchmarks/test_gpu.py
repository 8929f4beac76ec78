"""The one command for a GPU, tried on the emulator: its stages, its file, its table, and stages that break."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import checks
from benchmarks.gpu.report import table

TIMED = ("float32", "tf32", "bfloat16")


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> dict[str, Any]:
    what = ["--device", "emulator", "--networks", "mlp", "--compared", "mlp", "--compared-later", "--batch", "2"]
    less = ["--without-pytorch", "--without-tests"]
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", *what, *less, "--out", str(out), *options])
    monkeypatch.setattr("benchmarks.gpu.layers.REPEATS", 1)
    monkeypatch.setattr("gpunn.timing.stopwatch.SAMPLE_SECONDS", 1)
    monkeypatch.setattr("gpunn.timing.stopwatch.LARGEST_SAMPLE", 1)
    program.main()
    (file,) = out.glob("gpu-emulator-*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_every_stage_leaves_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(monkeypatch, tmp_path)
    assert found["primitives"] == found["networks"] == []
    assert found["environment"]["device"] == "emulator"
    for precision in TIMED:
        times = found[f"steps of mlp in {precision}"]["milliseconds"]["gpunn"]
        assert 0 < times["low"] <= times["median"] <= times["high"]
    layers = found["layers of mlp in bfloat16"]
    assert [layer["call"] for layer in layers][:2] == ["flatten_forward", "linear_forward"]
    assert layers[1]["flops"] > 0
    printed = capsys.readouterr().out
    assert "primitives                    right" in printed
    assert "steps of mlp in tf32, batch 2" in printed


def test_a_stage_that_breaks_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.gpu.checks.primitives", lambda device: 1 / 0)
    found = run(monkeypatch, tmp_path)
    assert "ZeroDivisionError" in str(found["primitives"]["failed"])
    assert found["networks"] == []


def test_nothing_begins_after_the_time_is_used_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = run(monkeypatch, tmp_path, "--minutes", "-1")
    assert found.pop("environment")
    assert {"primitives", "networks", "steps of mlp in float32", "layers of mlp in float32"} <= set(found)
    assert all(stage == {"left out": "the time was used up"} for stage in found.values())


def test_each_run_of_the_sanitizer_may_take_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, float]] = []

    def failures(command: Sequence[str], seconds: float, variables: Mapping[str, str]) -> list[str]:
        given.append((command[2], seconds))
        return []

    monkeypatch.setattr("benchmarks.gpu.checks.shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("benchmarks.gpu.checks._failures", failures)
    assert checks.sanitizer("cuda", ["float32", "bfloat16"], 60) == {tool: [] for tool in checks.TOOLS}
    assert [tool for tool, _ in given[:3]] == ["memcheck", "memcheck", "racecheck"]
    assert all(30 < seconds <= 60 for _, seconds in given)
    late = checks.sanitizer("cuda", ["float32"], -1)
    assert late["racecheck"] == ["float32: not run, the time was used up"]


def test_the_table_names_the_first_failure() -> None:
    printed = table({"networks": ["conv1 is wrong", "fc8 is wrong"], "sanitizer": {"racecheck": []}})
    assert printed.splitlines() == [
        "networks                      2 failures, the first: conv1 is wrong",
        "sanitizer racecheck           right",
    ]
