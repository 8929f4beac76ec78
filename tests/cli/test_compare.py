"""gpunn compare: the table, the JSON, and what is refused."""

from __future__ import annotations

import json

import pytest

from gpunn.cli.application import run


def test_two_devices_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "lenet", "--devices", "cpu,cpu", "--batch", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["layer", "phase"]
    assert lines[2].startswith("conv1    forward   convolution2d_forward")
    assert lines[-2] == "of its bound: the error over what rounding may add up to at worst; up to 1 a result is right"
    assert lines[-1] == "all 34 results lie within the rounding of float32"


def test_json_has_every_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "mlp", "--devices", "cpu,cpu", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert set(results[0]) == {"node", "phase", "primitive", "result", "error", "share"}
    assert all(result["share"] <= 1 for result in results)


def test_one_device_is_no_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "lenet", "--devices", "cpu"]) == 2
    assert "'cpu' is not two devices, such as cpu,emulator" in capsys.readouterr().err


def test_a_precision_that_the_device_lacks_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "lenet", "--devices", "cpu,cpu", "--precision", "bfloat16"]) == 4
    assert "bfloat16" in capsys.readouterr().err
