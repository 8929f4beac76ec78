"""gpunn explain."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gpunn.errors import DeviceError
from tests.cli.conftest import Gpunn


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No results but the test's own, and no cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPUNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where NVRTC is not installed."""

    def missing() -> tuple[int, int]:
        raise DeviceError('the compiler NVRTC is not installed; pip install "gpunn[kernels]"')

    monkeypatch.setattr("gpunn.backend.cuda.compiling.compile.compiler_version", missing)


def test_a_network_on_a_gpu(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    monkeypatch.setattr("gpunn.cli.explain.available_cores", lambda: 1)
    result = gpunn("explain", "mlp", "--device", "h100", "--batch", 32)
    assert (result.status, result.error) == (0, "")
    heading, header, _, first, *lines = result.out.splitlines()
    assert heading.startswith("mlp, one training step of 32 images in bfloat16 on NVIDIA H100")
    titles = "layer phase kernel tile grid threads waves registers occupancy GFLOP useful MB floor us bound by of step"
    assert " ".join(header.split()) == titles
    assert first.split()[:3] == ["input", "forward", "normalize_images"]
    assert "%)" in first
    assert any(line.startswith("floor ") and " us, " in line and "images/s" in line for line in lines)
    assert any(line.startswith("memory ") and "of 80.0 GiB" in line for line in lines)
    assert lines[-1] == "no kernel spills registers"


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler(gpunn: Gpunn) -> None:
    result = gpunn("explain", "lenet", "--device", "a100", "--precision", "tf32", "--calls")
    assert (result.status, result.error) == (0, "")
    _, header, _, *lines = result.out.splitlines()
    assert " ".join(header.split()) == "layer phase kernel tile grid threads GFLOP useful MB floor us bound by of step"
    assert any("convolution2d_forward" in line for line in lines)
    assert lines[-1].startswith("registers, occupancy and waves need the compiler: ")
    assert 'pip install "gpunn[kernels]"' in lines[-1]


@pytest.mark.usefixtures("no_compiler")
def test_as_json(gpunn: Gpunn) -> None:
    result = gpunn("explain", "lenet", "--device", "rtx4090", "--batch", 16, "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert (found["model"], found["batch"], found["precision"], found["device"]) == ("lenet", 16, "bfloat16", "rtx4090")
    assert found["ceilings"]["copy"]["per_second"] == 1.008e12
    assert "nominal" in found["ceilings"]["product"]["source"]
    calls = [call for row in found["layers"] for call in row["calls"]]
    assert found["floor_ms"] == pytest.approx(sum(call["floor_ms"] for call in calls))
    assert found["bytes"] == sum(call["bytes"] for call in calls)
    conv = next(call for call in calls if call["primitive"] == "convolution2d_forward")
    # 16 images, 20 filters of 5x5 on 28x28 without padding.
    assert conv["flops"] == 2 * 16 * 24 * 24 * 20 * 25
    launch = conv["launches"][0]
    assert launch["residency"] is None
    # 16 * 24 * 24 rows in tiles of 64.
    assert (launch["tile"], launch["grid"]) == ("64x64", [144, 1, 1])


@pytest.mark.usefixtures("no_compiler")
def test_names_of_devices_may_be_written_large(gpunn: Gpunn) -> None:
    assert gpunn("explain", "mlp", "--device", "H100").out == gpunn("explain", "mlp", "--device", "h100").out


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(("columns", "lines"), [(100, 50), (150, 40), (80, 30)])
def test_a_terminal_has_the_whole_step_at_once(
    gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch, columns: int, lines: int
) -> None:
    """VGG-16's 52 rows: those that take the least share a line, so that no line scrolls away."""
    asked = ("explain", "vgg16", "--device", "h100")
    whole = gpunn(*asked).out.splitlines()
    monkeypatch.setattr("gpunn.cli.explain.terminal_size", lambda: os.terminal_size((columns, lines)))
    shown = gpunn(*asked).out.splitlines()
    # The last line of a terminal is that of the next prompt.
    assert sum(-(-len(line) // columns) for line in shown) == lines - 1
    assert len(whole) > 60
    assert any(" to " in line.partition("  ")[0] for line in shown)
    assert any("told together, for want of height" in line for line in shown)
    floor = next(line for line in whole if line.startswith("floor "))
    assert floor in shown


@pytest.mark.usefixtures("no_compiler")
def test_columns_that_do_not_fit_are_named(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("explain", "mlp", "--device", "h100")
    _, whole, *_ = gpunn(*asked).out.splitlines()
    assert "left out" not in gpunn(*asked).out
    monkeypatch.setattr("gpunn.cli.explain.terminal_size", lambda: os.terminal_size((60, 99)))
    _, header, *lines = gpunn(*asked).out.splitlines()
    (told,) = (line for line in lines if line.startswith("left out, for want of width: "))
    titles = told.partition(": ")[2].partition(";")[0].split(", ")
    assert sorted(" ".join([header, *titles]).split()) == sorted(whole.split())


def results(name: str) -> str:
    """As gpunn time writes them, of one layer."""
    step = {"median": 1.0, "low": 1.0, "high": 1.0}
    layer = {"name": "conv1", "forward_ms": 0.125, "backward_ms": 0.25}
    device = {"device": "cuda:0", "name": name, "step_ms": step, "layers": [layer]}
    return json.dumps({"model": "lenet", "batch": 16, "precision": "bfloat16", "devices": [device]})


@pytest.mark.usefixtures("no_compiler")
def test_measured_times_beside_floors(gpunn: Gpunn, tmp_path: Path) -> None:
    asked = ("explain", "lenet", "--device", "h100", "--batch", 16)
    (tmp_path / "mine.json").write_text(results("NVIDIA H100 PCIe"))
    named = gpunn(*asked, "--results", "mine.json")
    assert (named.status, named.error) == (0, "")
    line = next(line for line in named.out.splitlines() if line.startswith("conv1 "))
    assert line.split()[-2] == "125.00"
    assert "mine.json, NVIDIA H100 PCIe; the whole step 1000.00 us" in named.out
    assert "measured" not in gpunn(*asked).out.replace("measured by others, in a large", "")
    folder = tmp_path / "benchmarks/results"
    folder.mkdir(parents=True)
    (folder / "gpu-nvidia-h100.json").write_text(results("NVIDIA H100 PCIe"))
    assert "gpu-nvidia-h100.json, NVIDIA H100 PCIe" in gpunn(*asked).out
    # What nobody named is of pictures and classes as LeNet was designed for.
    for other in (("--input", "32x32x1"), ("--classes", 47)):
        assert "gpu-nvidia" not in gpunn(*asked, *other).out
    assert "gpu-nvidia" in gpunn(*asked, "--input", "28x28x1", "--classes", 10).out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("lenet", "--device", "V100"), 2, "'v100' is not known here; choose one of h100, a100, rtx4090, cpu"),
        (("lennet", "--device", "h100"), 2, "did you mean 'lenet'"),
        (("lenet",), 2, "--device"),
        (("lenet", "--device", "h100", "--precision", "half"), 2, "precision 'half' is not known"),
        (("lenet", "--device", "h100", "--precision", "float64"), 4, "float64 is not computed on h100"),
        (("lenet", "--device", "cpu", "--precision", "bfloat16"), 4, "bfloat16 is not computed on cpu"),
        (("lenet", "--device", "cpu", "--tuning", "x.json"), 2, "--tuning is for GPUs"),
        (("lenet", "--device", "h100", "--tuning", "x.json"), 2, "--tuning x.json cannot be read"),
        (("lenet", "--device", "h100", "--results", "x.json"), 2, "--results x.json cannot be read"),
    ],
)
@pytest.mark.usefixtures("no_compiler")
def test_wrong_use(gpunn: Gpunn, arguments: tuple[str, ...], status: int, words: str) -> None:
    result = gpunn("explain", *arguments)
    assert result.status == status
    assert words in result.error


def test_on_the_cpu(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.timing.ceilings.LONG_ENOUGH", 0.0)
    monkeypatch.setattr("gpunn.explaining.cpu.SECONDS", 0.0)
    result = gpunn("explain", "lenet", "--device", "cpu", "--batch", 8, "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert (found["device"], found["precision"], found["kernels"]) == ("cpu", "float32", "")
    ways = {(call["primitive"], call["algorithm"]) for row in found["layers"] for call in row["calls"]}
    assert {
        ("convolution2d_forward", "K-major im2col"),
        ("linear_forward", "BLAS"),
        ("maximum_pool2d_forward", "NumPy"),
    } <= ways
    assert found["ceilings"]["product"]["per_second"] > found["ceilings"]["copy"]["per_second"] / 4 > 0
    assert found["memory"]["available"] is None
