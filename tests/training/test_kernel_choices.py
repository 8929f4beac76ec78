"""The kernels that a run was begun with are those that it goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpunn.backend.contract import Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator import open_emulator
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule
from gpunn.training.experiment import new_run, resume_run, with_recipe
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.trained_run import load_run
from gpunn.training.trainer import Trainer
from tests.training.runs import Recorder, network_without_statistics, preprocessing_of, stripes, write_stripes

pytestmark = pytest.mark.usefixtures("no_curves")

KEY = "a primitive of some shape"


def choice(device: Device, *candidates: str) -> str:
    """What the device's tuner takes; an emulator's takes the first of what it has not met."""
    assert isinstance(device, CudaDevice)
    return device.tuner.choose(KEY, candidates, lambda name: pytest.fail(f"{name} was launched"))


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A run of one epoch on the emulator, which chose kernel "b"."""
    given: dict[str, Any] = {
        "data": str(write_stripes(tmp_path / "stripes.npz", train=6, validation=3)),
        "model": "mlp",
        "device": "emulator",
        "epochs": 2,
        "batch_size": 6,
        "learning_rate": 0.01,
    }
    trainer = new_run(with_recipe(given), tmp_path / "run", Recorder())
    assert choice(trainer.learner.device, "b", "a") == "b"
    next(trainer.fit())
    trainer.learner.device.close()
    return tmp_path / "run"


def test_a_run_that_goes_on_keeps_its_kernels(begun: Path) -> None:
    observer = Recorder()
    trainer = resume_run(begun, observer)
    assert choice(trainer.learner.device, "a", "b") == "b"
    assert observer.notes == ["device: emulator, float32"]
    trainer.learner.device.close()


def test_they_are_known_before_programs_are_built(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[dict[str, Any]] = []
    original = Learner.prepare

    def prepare(learner: Learner, *arguments: Any) -> None:
        plans.append(dict(learner.device.thread_plan()))
        original(learner, *arguments)

    monkeypatch.setattr(Learner, "prepare", prepare)
    resume_run(begun, Recorder()).learner.device.close()
    assert plans[0][f"tuned/emulator/{KEY}"] == "b"


def test_another_device_has_kernels_of_its_own(begun: Path) -> None:
    observer = Recorder()
    trainer = resume_run(begun, observer, device="cpu")
    assert "written on another device" in observer.notes[-1]
    trainer.learner.device.close()


def test_a_run_is_measured_with_its_kernels(begun: Path) -> None:
    device = load_run(begun, "emulator").learner.device
    assert choice(device, "a", "b") == "b"
    device.close()


def test_a_trainer_built_in_python_adopts_them(tmp_path: Path) -> None:
    split = stripes(6, 3)
    for begins in (True, False):
        device = open_emulator()
        learner = Learner(
            network_without_statistics(), device, precision("float32"), preprocessing_of(split), Rule(Sgd())
        )
        plan = Plan(2, 6, ConstantSchedule(0.01))
        trainer = Trainer(learner, plan, split, preprocessing_of(split), run=RunFolder(tmp_path / "run"))
        if begins:
            assert choice(device, "b", "a") == "b"
            next(trainer.fit())
        else:
            trainer.resume()
            assert choice(device, "a", "b") == "b"
        device.close()
