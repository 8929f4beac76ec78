from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import cpu_primitives
from benchmarks.cpu.primitives.cases import cases_of
from benchmarks.cpu_primitives import compare, lines
from gpunn.backend.cpu.device import open_cpu


def test_every_operation_is_timed_without_pytorch() -> None:
    device = open_cpu(1)
    found = list(lines(device, None, "lenet", batch=2, rounds=1))
    device.close()
    operations = {line.case.rsplit(" ", 2 if "pool" in line.case else 1)[0] for line in found}
    assert operations == {
        *(f"{kind} pool {way}" for kind in ("max", "mean") for way in ("forward", "backward")),
        "max pool inference",
        *(f"batch norm + relu {way}" for way in ("forward", "inference")),
        "batch norm backward",
        *(f"{name} {way}" for name in ("relu", "local response") for way in ("forward", "backward")),
        "softmax",
        "softmax cross entropy",
        "sgd",
        "sgd with decay",
        "adam",
    }
    for line in found:
        assert line.ours > 0
        assert line.floors > 0
        assert line.ratio is None
        json.dumps(asdict(line))


def test_each_pair_gives_a_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a stand-in for PyTorch that has one addition to wake its threads, and calls that do nothing."""
    torch: Any = SimpleNamespace(zeros=lambda count: SimpleNamespace(add_=lambda number: None))
    monkeypatch.setattr(cpu_primitives, "their_calls", lambda torch, case: [lambda: None, lambda: None])
    monkeypatch.setattr(cpu_primitives, "end_idle_threads", lambda: None)
    device = open_cpu(1)
    case = next(case for case in cases_of("lenet", 2) if case.operation == "softmax")
    line = compare(device, torch, case, rounds=3, floor=1e-6)
    device.close()
    assert line.ratio is not None
    assert line.theirs is not None
    assert line.ratio_quartiles is not None
    assert line.ratio == pytest.approx(line.ours / line.theirs)
    assert line.ratio_quartiles[0] <= line.ratio_quartiles[1]
    assert line.ratio > 1
    assert "ratio" in str(line)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "nonsense"), "--only 'nonsense' is in none of max pool forward, "),
        (("--rounds", "1"), "--rounds 1 have no quartiles; ask for 2 or more"),
    ],
)
def test_what_times_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, str], told: str
) -> None:
    monkeypatch.setattr(cpu_primitives.sys, "argv", ["cpu_primitives.py", *words])
    with pytest.raises(SystemExit):
        cpu_primitives.main()
    assert told in capsys.readouterr().err


def test_a_shape_is_timed_once() -> None:
    cases = cases_of("vgg16", 1)
    assert len(cases) == len(set(cases))
    assert sum(case.operation == "relu forward" for case in cases) == 5
