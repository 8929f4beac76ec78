"""A loss that is no longer finite: the step is void, the checkpoints stay, and a report names images and layers."""

from __future__ import annotations

import errno
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.data.dataset import Split
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import DivergedError
from gpunn.layers import Flatten, Linear
from gpunn.network import Network, Sequential
from gpunn.optimizers import Adam, Optimizer, Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule, MultiStepSchedule
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.trainer import Trainer
from tests.training.runs import CLASSES, SIZE, Setting, network_without_statistics, records_of, state_of, trainer_of

pytestmark = pytest.mark.usefixtures("no_curves")

SETTING = Setting(plan=Plan(3, 8, ConstantSchedule(0.05), accumulate=2, seed=2))
LAYERS = ["conv1", "bn1", "relu1", "pool1", "drop1", "flatten", "fc2"]


def break_weight(learner: Learner, name: str, value: float = np.inf) -> None:
    values = learner.state.parameters.export()
    values[name].flat[0] = value
    learner.state.parameters.load(values)


def files_of(path: Path) -> dict[str, bytes]:
    """What a run has written; its heartbeat is there only while it goes on."""
    files = (file for file in path.rglob("*") if file.is_file() and file.name != "heartbeat")
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def diverge(trainer: Trainer) -> DivergedError:
    with pytest.raises(DivergedError) as caught:
        list(trainer.fit())
    assert caught.value.exit_code == 6
    return caught.value


def test_an_infinite_weight_in_mid_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second update of the second epoch."""
    original = Learner.learn
    seen: list[list[int]] = []
    with trainer_of(SETTING, tmp_path) as trainer:
        state = trainer.learner.state
        kept: dict[str, Any] = {}

        def learn(learner: Learner, batch: Any, **named: Any) -> None:
            if trainer.progress.step == 5 and trainer.progress.batch % 2 == 0:
                break_weight(learner, "conv1.weight")
                kept.update(learner.state.export())
                kept["files"] = files_of(tmp_path)
            if trainer.progress.step == 5:
                seen.append(batch.indices.tolist())
            original(learner, batch, **named)

        monkeypatch.setattr(Learner, "learn", learn)
        error = diverge(trainer)
        files = kept.pop("files")
        for name, values in state.export().items():
            np.testing.assert_array_equal(values, kept[name], err_msg=name)
    assert "the loss of step 6 is not a finite number; that update was not applied" in str(error)
    assert str(tmp_path / "diverged.json") in str(error)
    assert "lower learning rate" in str(error)
    found = files_of(tmp_path)
    report = json.loads(found.pop("diverged.json"))
    assert found == files
    assert report["step"] == 6
    assert report["broken"] == report["samples"][:8]
    assert report["samples"] == [f"image {index} of the array" for group in seen for index in group]
    assert len(report["samples"]) == 16
    layers = {entry["name"]: entry for entry in report["layers"]}
    assert list(layers)[1:] == LAYERS
    assert layers["conv1"]["not_finite"] > 0
    # As training computes it: what dropout keeps is scaled.
    assert layers["drop1"]["maximum"] > layers["pool1"]["maximum"]
    image = next(iter(report["layers"]))
    assert image["not_finite"] == 0
    assert image["minimum"] < image["maximum"]
    weights = {entry["name"]: entry for entry in report["weights"]}
    assert weights["conv1.weight"]["not_finite"] == 1
    assert weights["fc2.weight"]["not_finite"] == 0


def test_gradients_that_no_loss_scale_makes_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss itself stays finite, so that nothing else would end the run."""
    original = Learner.update

    def update(learner: Learner, learning_rate: float) -> None:
        assert learner.state.gradients is not None
        learner.state.gradients.whole[0] = np.inf
        original(learner, learning_rate)

    monkeypatch.setattr(Learner, "update", update)
    number_types = replace(precision("float32"), scales_loss=True)
    plan = Plan(50, 8, ConstantSchedule(0.05), accumulate=2, seed=2)
    with trainer_of(Setting(plan=plan, precision=number_types), tmp_path) as trainer:
        before = trainer.learner.state.parameters.export()
        error = diverge(trainer)
        after = trainer.learner.state.parameters.export()
    assert "gradients are not finite even where the loss is not scaled: updates are void" in str(error)
    assert "lower learning rate" in str(error)
    # The multiplier is halved sixteen times; then it takes two looks, at the ends of two epochs.
    steps = json.loads((tmp_path / "diverged.json").read_text())["step"]
    assert 16 < steps <= 16 + 2 * trainer.updates_per_epoch
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)


@pytest.mark.parametrize("multiplier", [2.0, 1.0])
def test_an_overflow_that_a_smaller_scale_mends_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multiplier: float
) -> None:
    """It comes right before two looks: those of the checkpoint, and of the end of the first epoch."""
    original = Learner.update
    overflows = iter((False, False, False, True))

    def update(learner: Learner, learning_rate: float) -> None:
        assert learner.state.gradients is not None
        if next(overflows, False):
            learner.state.set_control("loss_multiplier", multiplier)
            learner.state.gradients.whole[0] = np.inf
        original(learner, learning_rate)

    monkeypatch.setattr(Learner, "update", update)
    number_types = replace(precision("float32"), scales_loss=True)
    plan = replace(SETTING.plan, checkpoint_seconds=0)
    with trainer_of(replace(SETTING, plan=plan, precision=number_types), tmp_path) as trainer:
        assert trainer.updates_per_epoch == 4
        list(trainer.fit())
        assert trainer.learner.state.read_control("loss_multiplier") == 1


def linear() -> Network:
    return Sequential(Flatten(name="flatten"), Linear(None, 3, name="fc")).network((SIZE, SIZE, 1), "linear")


@pytest.mark.parametrize("position", [0, 9, 23])
def test_the_image_that_broke_is_named_whichever_pass_it_was_in(tmp_path: Path, position: int) -> None:
    """One white image among black ones, and a weight that only white makes overflow; three passes to an update."""
    plan = Plan(1, 8, ConstantSchedule(1e-30), accumulate=3, seed=2)
    with trainer_of(Setting(linear, plan=plan)) as plain:
        shown = [index for batch in plain._training.batches(0) for index in batch.indices.tolist()]
    white = shown[24 + position]

    def split() -> Split:
        images = np.zeros((50, SIZE, SIZE, 1), np.uint8)
        images[white] = 255
        half = ArrayDataset(images, np.arange(50) % 3, CLASSES)
        return Split(half, half, "black")

    with trainer_of(Setting(linear, plan=plan, split=split), tmp_path) as trainer:
        values = trainer.learner.state.parameters.export()
        values["fc.weight"][:] = 0
        values["fc.weight"][7, 1] = 1e38
        trainer.learner.state.parameters.load(values)
        error = diverge(trainer)
    assert "the loss of step 2 is not a finite number" in str(error)
    report = json.loads((tmp_path / "diverged.json").read_text())
    assert report["step"] == 2
    assert report["broken"] == [f"image {white} of the array"]
    assert report["samples"] == [f"image {index} of the array" for index in shown[24:48]]
    layers = {entry["name"]: entry for entry in report["layers"]}
    assert layers["fc"]["not_finite"] == 1


def test_the_run_can_be_resumed_from_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Learner.learn
    with trainer_of(SETTING, tmp_path / "broken") as trainer, monkeypatch.context() as patch:

        def learn(learner: Learner, batch: Any, **named: Any) -> None:
            if trainer.progress.step == 5:
                break_weight(learner, "fc2.weight", np.nan)
            original(learner, batch, **named)

        patch.setattr(Learner, "learn", learn)
        diverge(trainer)
    with trainer_of(SETTING, tmp_path / "broken") as trainer:
        trainer.resume()
        list(trainer.fit())
    with trainer_of(SETTING, tmp_path / "whole") as trainer:
        list(trainer.fit())
    assert records_of(tmp_path / "broken") == records_of(tmp_path / "whole")
    assert state_of(tmp_path / "broken") == state_of(tmp_path / "whole")


@pytest.mark.parametrize("make", [lambda: Sgd(momentum=0.9), Adam])
def test_a_huge_learning_rate(tmp_path: Path, make: Callable[[], Optimizer]) -> None:
    """Without a NumPy warning on the terminal: the error says it all."""
    setting = replace(
        SETTING, build=network_without_statistics, optimizer=make, plan=Plan(3, 8, ConstantSchedule(1e38))
    )
    with trainer_of(setting, tmp_path) as trainer, warnings.catch_warnings():
        warnings.simplefilter("error")
        diverge(trainer)
    assert state_of(tmp_path)["progress"]["step"] == 0
    assert json.loads((tmp_path / "diverged.json").read_text())["samples"]


def test_the_last_update_of_an_epoch(tmp_path: Path) -> None:
    """Its loss was finite, the weights it made are not: validation finds out, and nothing is saved."""
    plan = Plan(3, 50, MultiStepSchedule(0.01, (1,), 1e39))
    with trainer_of(replace(SETTING, build=network_without_statistics, plan=plan), tmp_path) as trainer:
        error = diverge(trainer)
    assert "after step 2, the loss of the images it is measured on is not a finite number" in str(error)
    assert len(records_of(tmp_path)) == 1
    assert state_of(tmp_path)["progress"]["step"] == 1
    assert state_of(tmp_path, "best")["progress"]["step"] == 1
    report = json.loads((tmp_path / "diverged.json").read_text())
    assert report["step"] == 2
    assert len(report["samples"]) == 50
    assert report["broken"]
    assert len(report["broken"]) <= 21


def test_a_snapshot_never_holds_numbers_that_are_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss may still be finite while an unused weight or the optimiser's state no longer is."""
    original = Learner.update

    def update(learner: Learner, learning_rate: float) -> None:
        original(learner, learning_rate)
        if learner.state.read_control("step") == 3:
            momentum = learner.state.optimizer["momentum"]
            values = momentum.export()
            values["fc2.bias"][0] = np.nan
            momentum.load(values)

    monkeypatch.setattr(Learner, "update", update)
    plan = replace(SETTING.plan, checkpoint_seconds=0.0)
    with trainer_of(replace(SETTING, plan=plan), tmp_path) as trainer:
        error = diverge(trainer)
    assert "after step 3, optimizer/momentum/fc2.bias holds numbers that are not finite" in str(error)
    assert state_of(tmp_path)["progress"]["step"] == 2


def test_without_a_run_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with trainer_of(SETTING) as trainer:
        break_weight(trainer.learner, "fc2.bias", np.nan)
        error = diverge(trainer)
    assert "diverged.json" not in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_the_report_does_not_hide_the_divergence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, pieces: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gpunn.training.divergence.replace_file", refuse)
    with trainer_of(SETTING, tmp_path) as trainer:
        values = trainer.learner.state.parameters.export()
        values["fc2.weight"][:] = np.nan
        trainer.learner.state.parameters.load(values)
        monkeypatch.setattr(trainer, "_save", lambda is_best: None)
        error = diverge(trainer)
    assert "the loss of step 1 is not a finite number" in str(error)
    assert "diverged.json could not be written: No space left on device" in str(error)
