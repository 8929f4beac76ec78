"""A contestant of gpunn time on a GPU that is none: every kernel takes a millisecond of the fake machine's clock."""

from __future__ import annotations

from collections import Counter

import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.models import model
from gpunn.precision import precision
from gpunn.timing import ceilings
from gpunn.timing.ceilings import CeilingProbe
from gpunn.timing.contestant import Task
from gpunn.timing.gpunn_contestant import GpunnContestant
from tests.backend.cuda.fake_cupy import Machine

MLP = model("mlp")


def launches(machine: Machine) -> Counter[str]:
    return Counter(launched.kernel for launched in machine.launched)


def test_rows_add_up_to_the_kernels_of_a_step(
    fake_device: CudaDevice, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A step counts as long enough for a sample.
    monkeypatch.setattr("gpunn.timing.stopwatch.SAMPLE_SECONDS", 0.001)
    contestant = GpunnContestant(Task(MLP, 2, "float32", MLP.image, MLP.classes), fake_device)
    assert (contestant.device, contestant.name, contestant.threads) == ("cuda:0", "Fake GPU (1 GiB)", None)
    for _ in range(4):
        contestant.training.call()
    contestant.training.wait()
    contestant.sample_layers()
    machine.launched.clear()
    contestant.training.call()
    contestant.training.wait()
    whole = launches(machine)
    machine.launched.clear()
    contestant.sample_layers()
    cut = launches(machine)
    assert cut.pop("hold") == 1
    # The step runs as a graph, and the pieces one by one: the same kernels.
    assert cut == whole
    rows = {row.name: row for row in contestant.layers(None)}
    assert sum(row.forward_ms + row.backward_ms for row in rows.values()) == pytest.approx(whole.total())
    assert rows["loss"].algorithm == "softmax_cross_entropy + finite_check + record_losses"
    assert rows["loss"].forward_ms == pytest.approx(3)
    assert (rows["optimizer"].forward_ms, rows["optimizer"].backward_ms) == (0, pytest.approx(2))
    assert rows["fc1"].algorithm.startswith("simt ")
    contestant.close()


def test_without_cublas_the_ceiling_is_the_kernels(
    fake_device: CudaDevice, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceilings, "SIDES", (32, 32))
    monkeypatch.setattr(ceilings, "LENGTHS", (1024, 1024))
    monkeypatch.setattr(fake_device, "library_product", lambda y, x, w: None)
    found = CeilingProbe(fake_device, precision("float32")).measure()
    assert found.product == "gpunn's kernel"
    assert found.bytes_per_second == pytest.approx(2 * 4 * 1024 / 0.001)
