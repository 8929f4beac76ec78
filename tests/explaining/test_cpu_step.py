"""A training step on a CPU: what is planned is what is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from gpunn.backend import open as open_device
from gpunn.backend.cpu.device import CpuDevice
from gpunn.explaining.cpu import explain_on_cpu, planned_work
from gpunn.explaining.step import optimizer_of, plan_step, update_of
from gpunn.precision import precision
from gpunn.program.program import Program
from gpunn.program.state import NetworkState
from gpunn.program.update import Update
from gpunn.timing.contestant import Task
from gpunn.timing.report import Ceilings
from tests.explaining.steps import task

#: Few images: algorithms are chosen by geometry alone.
TASKS = (
    task("lenet", 3, "float32"),
    task("mlp", 2, "float64"),
    replace(task("lecture-cnn", 2, "float32"), classes=5),
    task("vgg11-bn-cifar", 1, "float32"),
)


@pytest.fixture
def device() -> Iterator[CpuDevice]:
    opened = open_device("cpu")
    assert isinstance(opened, CpuDevice)
    yield opened
    opened.close()


@pytest.mark.parametrize("asked", TASKS, ids=lambda asked: asked.model.name)
def test_algorithms_are_those_that_the_device_tells_of(asked: Task, device: CpuDevice) -> None:
    network, number_types = asked.network(), precision(asked.precision)
    state = NetworkState(network, device, number_types, optimizer_of(asked))
    for name in ("image_mean", "image_deviation"):
        state.set_constant(name, np.ones(asked.image[-1]))
    plan = plan_step(asked, network, device, asked.batch)
    memory = device.allocate(plan.memory.total)
    memory[:] = 0
    program = Program(plan, state, memory)
    for call in (*plan.calls, *Update(state, update_of(asked)).calls):
        assert planned_work(call, device) == device.observe(program.binding.step(call)), call


def test_several_algorithms_are_among_them(device: CpuDevice) -> None:
    """So that the test above tells them apart."""
    calls = [call for asked in TASKS for call in plan_step(asked, asked.network(), device, asked.batch).calls]
    found = {planned_work(call, device).algorithm for call in calls if call.primitive.startswith("convolution2d")}
    assert {"direct", "space-to-depth", "K-major im2col", "shifted products"} <= found


def test_rows_memory_and_ceilings(device: CpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of LeNet's 431,080 parameters is there with its gradient and its velocity, in four bytes each."""
    monkeypatch.setattr("gpunn.timing.ceilings.LONG_ENOUGH", 0.0)
    monkeypatch.setattr("gpunn.explaining.cpu.SECONDS", 0.0)
    found = explain_on_cpu(TASKS[0], device)
    assert found.memory.state == pytest.approx(3 * 4 * 431_080, rel=0.01)
    assert found.memory.program > 4 * 3 * 24 * 24 * 20
    assert (found.rows[0].layer, found.rows[-1].layer) == ("input", "optimizer")
    product, copy = found.product.per_second, found.copy.per_second
    for call in found.calls:
        assert call.product_ms == pytest.approx(1000 * min(call.flops, call.executed_flops) / product)
        assert call.copy_ms == pytest.approx(1000 * call.bytes / copy)
        assert call.launches == ()


def test_an_algorithm_with_fewer_products_has_a_lower_floor(device: CpuDevice) -> None:
    """Else it would be faster than what nothing is said to be faster than."""
    found = explain_on_cpu(task("vgg11-bn-cifar", 8, "float32"), device, Ceilings(1e9, 1e10, "a product"))
    fewer = [call for call in found.calls if call.executed_flops < call.flops]
    # Shifted products leave out what the definition multiplies by padding.
    assert {call.algorithm.split()[0] for call in fewer} == {"winograd", "shifted"}
    for call in fewer:
        assert call.product_ms == pytest.approx(1000 * call.executed_flops / 1e9)


def test_the_best_of_several_measurements_is_a_ceiling(device: CpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([1e9, 5e9, 3e9, 2e9, 4e9, 6e9, 0.0])
    # The first reading is where the two seconds begin; a try in the middle of them is not the last.
    times = iter([10.0, 10.1, 10.2, 10.3, 10.4, 11.9, 12.0])
    monkeypatch.setattr("gpunn.explaining.cpu.monotonic", lambda: next(times))

    def measured(probe: object) -> Ceilings:
        rate = next(rates)
        return Ceilings(rate, 1e10 - rate, "a product")

    monkeypatch.setattr("gpunn.explaining.cpu.CeilingProbe.measure", measured)
    found = explain_on_cpu(TASKS[0], device)
    assert (found.product.per_second, found.copy.per_second) == (6e9, 9e9)
    now = "the best of 6 tries now: they fall with the machine's load"
    assert (found.product.source, found.copy.source) == (f"a product, {now}", now)


def test_slow_tries_are_several_too(device: CpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr("gpunn.explaining.cpu.monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr("gpunn.explaining.cpu.CeilingProbe.measure", lambda probe: Ceilings(1e9, 1e9, "a product"))
    assert "the best of 3 tries now" in explain_on_cpu(TASKS[0], device).product.source


def test_times_are_held_against_the_ceilings_of_their_run(device: CpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another moment has others; nothing is measured then."""
    monkeypatch.delattr("gpunn.explaining.cpu.CeilingProbe.measure")
    found = explain_on_cpu(TASKS[0], device, Ceilings(2e11, 2e10, "NumPy's BLAS"))
    assert (found.product.per_second, found.copy.per_second) == (2e11, 2e10)
    assert found.product.source == "NumPy's BLAS, measured with the times"
    assert found.copy.source == "measured with the times"
