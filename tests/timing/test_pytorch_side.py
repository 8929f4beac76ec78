"""What surrounds PyTorch in a comparison, tried without it: errors, settings, points in time, rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gpunn.errors import UsageError
from gpunn.models import model
from gpunn.timing.contestant import Task
from gpunn.timing.network_step import Direction
from gpunn.timing.pytorch import openmp, pytorch_contestant, pytorch_network
from gpunn.timing.pytorch.library import load_torch
from gpunn.timing.pytorch.marks import Clock, Passed, parts_of
from gpunn.timing.pytorch.row_plan import plan_rows
from gpunn.timing.pytorch.settings import Settings, apply_settings
from gpunn.timing.pytorch.step import first_weights


def task(name: str = "lenet", batch: int = 2, precision: str = "float32") -> Task:
    chosen = model(name)
    return Task(chosen, batch, precision, chosen.image, chosen.classes)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of PyTorch as is asked before anything is computed."""
    fake: Any = ModuleType("torch")
    fake.__version__ = "2.13.0+cpu"
    fake.cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def test_without_pytorch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for attempt in (
        lambda: pytorch_contestant(task(), "cpu", 1),
        lambda: pytorch_network(task().network(), first_weights(task().network())),
    ):
        with pytest.raises(UsageError, match="PyTorch, which is not installed; pip install torch"):
            attempt()


def test_a_pytorch_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: no such file')")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be loaded \(libcudart\.so\.13: no such file\)"):
        load_torch()


def test_a_version_that_is_too_old_is_refused(torch: Any) -> None:
    assert load_torch() is torch
    torch.__version__ = "2.3.1"
    with pytest.raises(UsageError, match=r"2\.3\.1 is older than 2\.4; pip install 'torch>=2\.4'"):
        load_torch()


@pytest.mark.parametrize(
    ("device", "precision", "told"),
    [
        ("emulator", "float32", "no device 'emulator'; compare on cpu or cuda"),
        ("cpu", "float64", "no precision float64 on cpu; use --precision float32 or bfloat16"),
        ("cuda:1", "float16", "no precision float16 on cuda:1; use --precision float32 or tf32 or bfloat16"),
        ("cuda:0", "float32", "2.13.0.cpu sees no GPU; install one built for CUDA"),
    ],
)
def test_what_pytorch_cannot_do_is_refused_before_anything_runs(
    torch: Any, device: str, precision: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        pytorch_contestant(task(precision=precision), device, 1)


def test_pytorch_is_imported_by_nobody_who_does_not_compare() -> None:
    program = "import sys, gpunn.timing.pytorch, gpunn.timing.opening; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_settings_are_given_back() -> None:
    counts = [8]
    products, cudnn = SimpleNamespace(allow_tf32=False), SimpleNamespace(allow_tf32=True, benchmark=False)
    torch = SimpleNamespace(
        get_num_threads=lambda: counts[-1],
        set_num_threads=counts.append,
        backends=SimpleNamespace(cudnn=cudnn, cuda=SimpleNamespace(matmul=products)),
    )
    before = apply_settings(torch, Settings.wanted("tf32", 2))
    assert (counts, products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == ([8, 2], True, True, True)
    apply_settings(torch, Settings.wanted("float32", None))
    assert (counts, products.allow_tf32, cudnn.allow_tf32) == ([8, 2], False, False)
    apply_settings(torch, before)
    assert (counts, products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == ([8, 2, 8], False, True, False)


def test_a_part_lasts_from_the_end_of_the_one_before_it() -> None:
    points = iter([10.0, 13.0, 17.5, 17.5])
    waits: list[str] = []
    clock = Clock(lambda: next(points), lambda: waits.append("finished"), lambda begun, ended: (ended - begun) / 2)

    def step(passed: Passed) -> None:
        passed("conv1", "forward")
        passed("loss", "forward")
        passed("conv1", "backward")

    forward: Direction = "forward"
    assert parts_of(step, clock) == [("conv1", forward, 1.5), ("loss", forward, 2.25), ("conv1", "backward", 0.0)]
    # Before the first point, so that nothing older counts, and before the points are read.
    assert waits == ["finished", "finished"]


def test_what_gpunn_computes_within_a_neighbour_counts_there() -> None:
    plan = plan_rows(task("lenet", batch=2))
    # LeNet without the ReLUs that convolutions and linear layers apply themselves; the second is differentiated alone.
    assert list(plan.kinds) == [
        "input", "conv1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc3", "fc4", "loss", "optimizer",
    ]  # fmt: skip
    assert [plan.row(f"relu{number}", "forward") for number in (1, 2, 3)] == ["conv1", "conv2", "fc3"]
    # A derivative is part of the product behind it, which writes the gradient.
    assert [plan.row(f"relu{number}", "backward") for number in (1, 2, 3)] == ["pool1", "relu2", "fc4"]
    assert plan.row("conv2", "forward") == plan.row("conv2", "backward") == "conv2"
    assert plan.row("loss", "backward") == "loss"


def test_costs_are_those_of_the_layers_in_both_directions() -> None:
    plan = plan_rows(task("lenet", batch=2))
    flops = {row: sum(cost.flops for cost in costs) for row, costs in plan.costs.items()}
    # Two operations a multiply-add, two images. The first layer has no gradient of its input.
    conv1, conv2 = (2 * 2 * places * filters * taps for places, filters, taps in ((576, 20, 25), (64, 50, 500)))
    fc3, fc4 = (2 * 2 * inputs * outputs for inputs, outputs in ((800, 500), (500, 10)))
    assert flops["conv1"] == 2 * conv1
    assert flops["conv2"] == 3 * conv2
    assert flops["fc3"] == 3 * fc3
    assert flops["fc4"] == 3 * fc4
    assert sum(flops.values()) == 2 * conv1 + 3 * (conv2 + fc3 + fc4)
    # The update reads weights, gradients and momentum, and writes weights and momentum.
    assert sum(cost.bytes for cost in plan.costs["optimizer"]) >= 5 * 4 * 431_080


def test_threads_that_wait_are_ended_in_every_library_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []
    able = SimpleNamespace(omp_pause_resource_all=lambda kind: asked.append(("end", kind)))
    libraries = [SimpleNamespace(dynlib=able), SimpleNamespace(dynlib=SimpleNamespace())]

    class Controller:
        def select(self, **chosen: str) -> Any:
            asked.append(("select", chosen))
            return SimpleNamespace(lib_controllers=libraries)

    monkeypatch.setattr(openmp, "ThreadpoolController", Controller)
    monkeypatch.setattr(openmp.time, "sleep", lambda seconds: asked.append(("sleep", seconds)))
    openmp.end_idle_threads()
    # 1 is omp_pause_soft; a library that cannot is given the longest time that any keeps its threads awake.
    assert asked == [("select", {"user_api": "openmp"}), ("end", 1), ("sleep", 0.25)]
