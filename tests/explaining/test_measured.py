"""Measured times beside floors, from files that the tests write: nobody has measured these on a GPU."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpunn.errors import UsageError
from gpunn.explaining.explanation import Explanation
from gpunn.explaining.measured import Wanted, newest_measured, read_measured, with_measured
from gpunn.timing.report import Ceilings, DeviceTimes, LayerTimes, TimingReport
from gpunn.timing.stopwatch import Times
from tests.explaining.steps import on_gpu

WANTED = Wanted("lenet", 8, "bfloat16", "H100")
NAME = "NVIDIA H100 80GB HBM3"


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    return on_gpu("lenet", 8, "bfloat16")


def benchmark(explanation: Explanation, batch: int = 8, name: str = NAME) -> dict[str, Any]:
    """As benchmarks/gpu writes it: no input; call number i takes i microseconds."""
    calls = [call for call in explanation.calls if call.primitive != "normalize_images"]
    times = {"low": 0.0, "high": 9.0}
    return {
        "environment": {"device": "cuda", "gpu": {"name": name}},
        "primitives": [],
        "steps of lenet in bfloat16": {"batch": batch, "milliseconds": {"gpunn": {"median": 0.25, **times}}},
        "steps of lenet in tf32": {"failed": "no"},
        "layers of lenet in bfloat16": [
            {
                "layer": call.layer,
                "phase": call.phase,
                "call": call.primitive,
                "gpunn_ms": {"median": (index + 1) / 1000, **times},
            }
            for index, call in enumerate(calls)
        ],
    }


def report() -> TimingReport:
    """As gpunn time writes it."""
    layer = LayerTimes("", "", 0.0, 0.0, 0, 0, 0, "", None)
    rows = (
        replace(layer, name="input", forward_ms=0.1),
        replace(layer, name="conv1", forward_ms=0.2, backward_ms=0.3),
        replace(layer, name="pool1", forward_ms=0.06),
        replace(layer, name="loss", forward_ms=0.04),
        replace(layer, name="optimizer", backward_ms=0.05),
    )
    step = Times(2.0, 1.9, 2.2)
    ours = DeviceTimes("cuda:0", NAME, None, 1.0, 1.0, step, step, None, rows)
    theirs = replace(ours, device="pytorch:cuda", step_ms=Times(7.0, 7.0, 7.0))
    return TimingReport("lenet", 8, "bfloat16", (theirs, ours), {})


def write(path: Path, found: object) -> Path:
    path.write_text(json.dumps(found))
    return path


def test_times_of_calls(explanation: Explanation, tmp_path: Path) -> None:
    measured = read_measured(write(tmp_path / "gpu-a.json", benchmark(explanation)), WANTED)
    found = with_measured(explanation, measured)
    first, *others = found.calls
    assert first.measured_ms is None
    assert [call.measured_ms for call in others] == [(index + 1) / 1000 for index in range(len(others))]
    input_row, *rows = found.rows
    assert input_row.measured_ms is None
    for row in rows:
        assert row.measured_ms == pytest.approx(sum(call.measured_ms or 0 for call in row.calls))
    assert found.measured_step_ms == 0.25
    assert found.measured == f"{tmp_path / 'gpu-a.json'}, {NAME}"
    assert found.floor_ms == explanation.floor_ms


def test_times_of_layers(explanation: Explanation, tmp_path: Path) -> None:
    path = write(tmp_path / "time.json", report().as_json())
    found = with_measured(explanation, read_measured(path, WANTED))
    times = {(row.layer, row.phase): row.measured_ms for row in found.rows if row.measured_ms is not None}
    assert times == {
        ("input", "forward"): 0.1,
        ("conv1", "forward"): 0.2,
        ("conv1", "backward"): 0.3,
        ("pool1", "forward"): 0.06,
        ("loss", "loss"): 0.04,
        ("optimizer", "update"): 0.05,
    }
    assert found.measured_step_ms == 2.0
    assert all(call.measured_ms is None for call in found.calls)


@pytest.mark.parametrize(
    "wanted",
    [
        replace(WANTED, model="alexnet"),
        replace(WANTED, batch=9),
        replace(WANTED, precision="tf32"),
        replace(WANTED, word="A100"),
    ],
)
def test_times_of_something_else(wanted: Wanted, explanation: Explanation, tmp_path: Path) -> None:
    write(tmp_path / "gpu-a.json", benchmark(explanation))
    write(tmp_path / "gpu-b.json", report().as_json())
    for name in ("gpu-a.json", "gpu-b.json"):
        with pytest.raises(UsageError, match=f"{name} has no times of {wanted.model} with batch {wanted.batch}"):
            read_measured(tmp_path / name, wanted)
    assert newest_measured(wanted, tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"devices": 3}', '{"environment": {}}', '"devices"', "1"])
def test_files_of_another_kind(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gpu-x.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"gpu-x\.json (cannot be read|is neither)"):
        read_measured(path, WANTED)
    assert newest_measured(WANTED, tmp_path) is None


def test_the_newest_that_fits(explanation: Explanation, tmp_path: Path) -> None:
    assert newest_measured(WANTED, tmp_path / "missing") is None
    for age, (name, batch) in enumerate([("gpu-c", 64), ("gpu-b", 8), ("gpu-a", 8)]):
        path = write(tmp_path / f"{name}.json", benchmark(explanation, batch))
        os.utime(path, (1e9 - age, 1e9 - age))
    found = newest_measured(WANTED, tmp_path)
    assert found is not None
    assert "gpu-b.json" in found.source


def test_a_cpu_is_not_another_library_on_it(tmp_path: Path) -> None:
    ceilings = Ceilings(4e11, 2e10, "BLAS")
    on_cpu = replace(report().devices[1], device="cpu", name="Some Processor", ceilings=ceilings)
    peer = replace(on_cpu, device="pytorch:cpu", step_ms=Times(7.0, 7.0, 7.0))
    path = write(tmp_path / "time.json", replace(report(), devices=(peer, on_cpu)).as_json())
    found = read_measured(path, replace(WANTED, word="cpu"))
    assert (found.step_ms, found.ceilings) == (2.0, Ceilings(4e11, 2e10, "BLAS"))


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_convolutions_of_a_cpu_that_were_asked_for_are_not_those_that_are_explained(
    algorithm: str, tmp_path: Path
) -> None:
    on_cpu = replace(report().devices[1], device="cpu", name="Some Processor")
    asked = replace(report(), devices=(on_cpu,), algorithm=algorithm)
    with pytest.raises(UsageError, match="has no times of"):
        read_measured(write(tmp_path / "cpu.json", asked.as_json()), replace(WANTED, word="cpu"))
    on_gpu = read_measured(write(tmp_path / "gpu.json", replace(report(), algorithm=algorithm).as_json()), WANTED)
    assert on_gpu.step_ms == 2.0
