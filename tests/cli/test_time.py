"""gpunn time: the tables, the JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpunn.timing import ceilings
from tests.cli.conftest import Gpunn

DEVICE_FIELDS = {
    "device",
    "name",
    "threads",
    "training_images_per_second",
    "inference_images_per_second",
    "step_ms",
    "inference_ms",
    "ceilings",
    "layers",
    "cores",
}
LAYER_FIELDS = {
    "name",
    "kind",
    "forward_ms",
    "backward_ms",
    "flops",
    "executed_flops",
    "bytes",
    "algorithm",
    "share_of_ceiling",
    "both_ms",
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call a sample, and small products and copies."""
    monkeypatch.setattr("gpunn.timing.stopwatch.LARGEST_SAMPLE", 1)
    monkeypatch.setattr("gpunn.timing.load.os.getloadavg", lambda: (0.5, 0.5, 0.5))
    monkeypatch.setattr("gpunn.timing.report.SPREAD", float("inf"))
    monkeypatch.setattr(ceilings, "SIDES", (32, 64))
    monkeypatch.setattr(ceilings, "LENGTHS", (2**10, 2**12))


def test_json_of_a_file_has_every_field(gpunn: Gpunn, tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    options = ("--devices", "cpu,emulator", "--batch", 2, "--threads", 2, "--seconds", 0, "--layers", "--json", file)
    result = gpunn("time", "mlp", *options)
    assert (result.status, result.error) == (0, "")
    found: dict[str, Any] = json.loads(file.read_text())
    assert (found["model"], found["batch"], found["precision"]) == ("mlp", 2, "float32")
    assert {"gpunn", "python", "numpy"} <= set(found["versions"])
    cpu, emulator = found["devices"]
    assert (cpu["device"], emulator["device"]) == ("cpu", "emulator")
    assert (cpu["threads"], emulator["threads"]) == (2, None)
    assert cpu["ceilings"]["product"] == "NumPy's BLAS"
    for device in (cpu, emulator):
        assert set(device) == DEVICE_FIELDS
        assert device["training_images_per_second"] == pytest.approx(2000 / device["step_ms"]["median"])
        assert device["inference_images_per_second"] == pytest.approx(2000 / device["inference_ms"]["median"])
        assert device["step_ms"]["low"] <= device["step_ms"]["median"] <= device["step_ms"]["high"]
        rows = device["layers"]
        assert [row["name"] for row in rows] == ["input", "flatten", "fc1", "fc2", "fc3", "loss", "optimizer"]
        assert all(set(row) == LAYER_FIELDS for row in rows)
        assert all(row["forward_ms"] + row["backward_ms"] > 0 for row in rows)
        # The first layer has no gradient of the image: forward and one backward product of 784 x 300 for two images.
        assert rows[2]["flops"] == 2 * 2 * 2 * 784 * 300
    assert cpu["layers"][2]["algorithm"] == "BLAS"
    assert emulator["layers"][2]["algorithm"].startswith("simt ")
    assert emulator["layers"][2]["executed_flops"] > emulator["layers"][2]["flops"]


def test_tables(gpunn: Gpunn) -> None:
    options = ("--devices", "cpu,emulator", "--batch", 2, "--threads", 1, "--seconds", 0, "--layers")
    out = gpunn("time", "mlp", *options).out
    assert out.startswith("mlp, batch 2, float32 (gpunn ")
    assert "\ncpu: " in out
    assert "; 1 thread" in out
    for device in ("cpu", "emulator"):
        (line,) = [line for line in out.splitlines() if line.startswith(f"{device}  ") and "algorithm" in line]
        assert "forward ms  backward ms" in line
    assert out.count("rows add up to ") == 2
    assert "emulator times as fast" in out
    assert "emulator trains 0." in out.splitlines()[-1]


def test_a_busy_machine_is_told_of(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.timing.load.os.getloadavg", lambda: (99.0, 0.5, 0.5))
    monkeypatch.setattr("gpunn.timing.load.os.cpu_count", lambda: 4)
    out = gpunn("time", "mlp", "--devices", "cpu,emulator", "--batch", 1, "--seconds", 0).out
    assert "warning: the machine was busy when measuring began (load average 99.0 on 4 cores)" in out
    assert "times as fast" not in out


def test_convolutions_are_computed_as_it_was_asked_for(gpunn: Gpunn, tmp_path: Path) -> None:
    options = ("--devices", "cpu", "--batch", 1, "--seconds", 0, "--layers", "--json")
    algorithms = {}
    for asked in ("direct", "winograd"):
        out = gpunn("time", "vgg11-bn-cifar", *options, tmp_path / "a.json", "--algorithm", asked).out
        assert f"float32, convolutions on the CPU {asked} (" in out
        found = json.loads((tmp_path / "a.json").read_text())
        assert found["algorithm"] == asked
        algorithms[asked] = {row["algorithm"] for row in found["devices"][0]["layers"]}
    assert not any("winograd" in name for name in algorithms["direct"])
    assert any("winograd" in name for name in algorithms["winograd"])


def test_json_on_standard_output_is_alone(gpunn: Gpunn) -> None:
    result = gpunn("time", "mlp", "--devices", "cpu", "--batch", 2, "--seconds", 0, "--json", "-")
    assert json.loads(result.out)["devices"][0]["layers"] == []


def test_without_a_gpu_the_cpu_is_timed_and_the_reason_told(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.timing.opening.devices_there", lambda precision: (("cpu",), {"cuda": "no driver"}))
    result = gpunn("time", "mlp", "--seconds", 0)
    assert result.status == 0
    assert result.out.splitlines()[-1] == "cuda is left out: no driver"


def test_the_chart_is_drawn_of_the_report(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[tuple[str, Path]] = []
    monkeypatch.setattr("gpunn.timing.charts.draw_chart", lambda report, path: drawn.append((report.model, path)))
    result = gpunn("time", "mlp", "--devices", "cpu", "--batch", 2, "--seconds", 0, "--plot", tmp_path / "a.png")
    assert (result.status, drawn) == (0, [("mlp", tmp_path / "a.png")])


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--devices", "gpu"), 2, "device 'gpu' is not known"),
        (("--devices", "cpu,,emulator"), 2, "'cpu,,emulator' is not one device or several different ones"),
        (("--devices", "cpu,cpu"), 2, "'cpu,cpu' is not one device or several different ones"),
        (("--precision", "float8"), 2, "precision 'float8' is not known"),
        (("--devices", "cpu", "--precision", "tf32"), 4, "tf32 is not computed on cpu; use --precision float32"),
        (("--devices", "cpu,cuda:99"), 4, "the others go without it: --devices cpu"),
        (("--devices", "cpu", "--algorithm", "fft"), 2, "--algorithm 'fft' is not one of auto, direct, winograd"),
        (("--compare", "caffe"), 2, "'caffe' is not known; it may be pytorch"),
        (("--input", "28"), 2, "'28' is not rows x columns x channels"),
        (("--json", "/nowhere/times.json"), 2, "--json /nowhere/times.json: there is no folder /nowhere"),
        (("--json", "/"), 2, "--json / is a folder; name a file in it"),
        (("--plot", "/nowhere/times.png"), 2, "--plot /nowhere/times.png: there is no folder /nowhere"),
        (("--plot", "times.text"), 2, "the chart 'times.text' ends in '.text'; give it one of "),
    ],
)
def test_wrong_use(
    gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: int, words: str
) -> None:
    def nothing_is_measured(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("gpunn.timing.measure.measure", nothing_is_measured)
    result = gpunn("time", "mlp", "--batch", 1, "--seconds", 0, *options)
    assert result.status == status
    assert words in result.error


@pytest.mark.usefixtures("without_matplotlib")
def test_without_matplotlib_a_chart_is_refused_before_anything_is_measured(
    gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nothing_is_measured(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("gpunn.timing.measure.measure", nothing_is_measured)
    result = gpunn("time", "mlp", "--devices", "cpu", "--seconds", 0, "--plot", tmp_path / "times.png")
    assert (result.status, result.error.count("\n")) == (2, 1)
    assert result.error.startswith("error: a chart needs matplotlib, which cannot be loaded (")
    assert result.error.endswith("); pip install matplotlib\n")


def test_a_file_that_cannot_be_written_costs_no_figures(gpunn: Gpunn) -> None:
    result = gpunn("time", "mlp", "--devices", "cpu", "--batch", 1, "--seconds", 0, "--json", "/dev/full")
    assert (result.status, "--json /dev/full cannot be written (No space left on device)" in result.error) == (2, True)
    assert result.out.startswith("mlp, batch 1, float32")
