"""A trainer: what it counts, schedules, saves, warns of, and when it ends."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.cores import available_cores
from gpunn.data import ArrayDataset, Preprocessing, Split
from gpunn.errors import CheckpointError, DataError, UsageError
from gpunn.layers import Flatten, Linear
from gpunn.network import Network, Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule, CosineSchedule, StepSchedule, WarmUp
from gpunn.training import load_run, resume_run
from gpunn.training.early_stopping import EarlyStopping
from gpunn.training.evaluation import evaluate_run
from gpunn.training.learner import Learner
from gpunn.training.observer import Silence, StepReport
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.trainer import Trainer, TrainingInterrupted
from tests.training.runs import SIZE, Recorder, Setting, network_without_statistics, state_of, stripes, trainer_of

pytestmark = pytest.mark.usefixtures("no_curves")


def linear() -> Network:
    return Sequential(Flatten(name="flatten"), Linear(None, 3, name="fc")).network((SIZE, SIZE, 1), "linear")


def given_accuracies(monkeypatch: pytest.MonkeyPatch, *accuracies: float) -> None:
    original = EarlyStopping.update
    monkeypatch.setattr(EarlyStopping, "update", lambda self, epoch, _: original(self, epoch, accuracies[epoch - 1]))


def weights_of(trainer: Trainer) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in trainer.learner.state.parameters.export().items()}


def test_it_learns(tmp_path: Path) -> None:
    plan = Plan(6, 8, ConstantSchedule(0.05), seed=1)
    with trainer_of(Setting(plan=plan), tmp_path) as trainer:
        records = list(trainer.fit())
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record.step for record in records] == [7, 14, 21, 28, 35, 42]
    assert records[-1].validation_top1 == 1.0
    assert records[-1].validation_top5 == 1.0
    assert records[-1].train_loss < 0.3 * records[0].train_loss


@pytest.mark.parametrize(
    ("images", "batch_size", "accumulate", "updates"),
    [(50, 8, 1, 7), (50, 8, 3, 3), (48, 8, 3, 2), (50, 7, 2, 4), (50, 100, 4, 1), (50, 50, 1, 1), (50, 49, 2, 1)],
)
def test_updates_of_an_epoch(images: int, batch_size: int, accumulate: int, updates: int) -> None:
    plan = Plan(2, batch_size, ConstantSchedule(0.01), accumulate=accumulate)
    with trainer_of(Setting(plan=plan, split=lambda: stripes(images))) as trainer:
        assert trainer.updates_per_epoch == updates
        assert [record.step for record in trainer.fit()] == [updates, 2 * updates]
        assert trainer.learner.state.read_control("step") == 2 * updates


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 3), (5, 4), (25, 2), (7, 50)])
def test_accumulated_batches_train_like_large_ones(batch_size: int, accumulate: int, reduction: str) -> None:
    """Two epochs, the last group short; to the rounding of float32."""
    trained = []
    for plan in (
        Plan(2, batch_size, ConstantSchedule(0.02 if reduction == "mean" else 0.002), accumulate=accumulate),
        Plan(2, batch_size * accumulate, ConstantSchedule(0.02 if reduction == "mean" else 0.002)),
    ):
        setting = Setting(network_without_statistics, plan=plan, rule={"reduction": reduction})
        with trainer_of(setting) as trainer:
            records = list(trainer.fit())
            trained.append((trainer.learner.state.parameters.export(), records))
    (parts, of_parts), (whole, of_whole) = trained
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-4, atol=1e-5)
    for mine, other in zip(of_parts, of_whole, strict=True):
        assert mine.step == other.step
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-5)


def test_every_update_has_the_rate_of_its_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used: list[float] = []
    original = Learner.update

    def update(learner: Learner, learning_rate: float) -> None:
        used.append(learning_rate)
        original(learner, learning_rate)

    monkeypatch.setattr(Learner, "update", update)
    schedule = WarmUp(1, CosineSchedule(0.4, 2))
    with trainer_of(Setting(plan=Plan(2, 8, schedule, accumulate=2)), tmp_path) as trainer:
        records = list(trainer.fit())
    # Four updates an epoch: the rise is 1/4, 2/4, 3/4, 1; half a cosine over eight.
    expected = [min(1, (k + 1) / 4) * 0.2 * (1 + np.cos(np.pi * k / 8)) for k in range(8)]
    np.testing.assert_allclose(used, expected, rtol=1e-12)
    assert [record.learning_rate for record in records] == [used[3], used[7]]


def test_training_loss_is_the_mean_over_the_epoch() -> None:
    """With a rate of almost nothing the weights stay, so the loss of training is that of evaluating the same images."""
    plan = Plan(1, 8, ConstantSchedule(1e-30))
    with trainer_of(Setting(linear, plan=plan)) as trainer:
        (record,) = trainer.fit()
        again = trainer.learner.evaluate(trainer._training.batches(0))
        validation = trainer.learner.evaluate(trainer._validation.batches(0))
    assert record.train_loss == pytest.approx(again.mean_loss, rel=1e-6)
    assert record.train_top1 == again.top1_rate
    assert (record.validation_loss, record.validation_top1) == (validation.mean_loss, validation.top1_rate)


def test_patience_ends_the_run_and_the_best_weights_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given_accuracies(monkeypatch, 0.5, 0.8, 0.8, 0.7, 0.9)
    plan = Plan(9, 16, ConstantSchedule(0.05), patience=2)
    weights = []
    observer = Recorder()
    with trainer_of(Setting(plan=plan), tmp_path, observer) as trainer:
        for _ in trainer.fit():
            weights.append(weights_of(trainer))
        assert len(weights) == 4
        assert weights_of(trainer) == weights[1]
        assert weights[1] != weights[3]
        assert trainer.best == (2, 0.8)
    assert observer.best_epochs == [1, 2]
    assert observer.notes[-1] == "the weights are those of epoch 2, the best"
    for which, number in (("last", 4), ("best", 2)):
        state = state_of(tmp_path, which)
        assert state["progress"]["epoch"] == number
        assert {name: state[name][2] for name in weights[0]} == weights[number - 1]


def test_the_best_weights_come_back_without_a_run_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    given_accuracies(monkeypatch, 0.5, 0.8, 0.8, 0.7)
    weights = []
    with trainer_of(Setting(plan=Plan(9, 16, ConstantSchedule(0.05), patience=2))) as trainer:
        for _ in trainer.fit():
            weights.append(weights_of(trainer))
        assert weights_of(trainer) == weights[1]


def test_without_patience_the_last_weights_stay_and_the_best_can_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given_accuracies(monkeypatch, 0.9, 0.1, 0.2)
    weights = []
    with trainer_of(Setting(plan=Plan(3, 16, ConstantSchedule(0.05))), tmp_path) as trainer:
        for _ in trainer.fit():
            weights.append(weights_of(trainer))
        assert weights_of(trainer) == weights[2]
        assert trainer.restore_best() == 1
        assert weights_of(trainer) == weights[0]


def test_improvement_in_the_last_epoch_of_patience_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    given_accuracies(monkeypatch, 0.5, 0.4, 0.6, 0.5, 0.5, 0.9)
    with trainer_of(Setting(plan=Plan(9, 16, ConstantSchedule(0.05), patience=2))) as trainer:
        assert len(list(trainer.fit())) == 5


def test_a_network_that_guesses_is_told(tmp_path: Path) -> None:
    observer = Recorder()
    plan = Plan(2, 16, ConstantSchedule(1e-12))
    with trainer_of(Setting(linear, plan=plan), None, observer) as trainer:
        values = trainer.learner.state.parameters.export()
        trainer.learner.state.parameters.load({name: 0 * held for name, held in values.items()})
        list(trainer.fit())
    assert len(observer.notes) == 2
    assert observer.notes[0].startswith(f"the loss sits at {log(3):.3f} = ln(3): the network guesses")


def test_a_network_that_learns_is_not() -> None:
    observer = Recorder()
    with trainer_of(Setting(plan=Plan(2, 8, ConstantSchedule(0.05))), None, observer) as trainer:
        list(trainer.fit())
    assert observer.notes == []


def test_a_run_leaves_these_files(tmp_path: Path) -> None:
    with trainer_of(Setting(), tmp_path) as trainer:
        list(trainer.fit())
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    checkpoints = {f"checkpoints/{name}.safetensors" for name in ("last", "previous", "best")}
    assert found == {"metrics.jsonl", "metrics.csv", *checkpoints}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [
        [
            "epoch",
            "step",
            "train_loss",
            "train_top1",
            "validation_loss",
            "validation_top1",
            "validation_top5",
            "learning_rate",
            "images_per_second",
            "seconds",
            "data_wait_fraction",
            "decode_fractions",
            "copy_fraction",
            "compute_fraction",
            "skipped_images",
        ]
    ] * 3
    for line in lines:
        assert all(0 <= line[name] <= 1 for name in line if "top" in name or name.endswith("fraction"))
        assert sum(line[f"{name}_fraction"] for name in ("data_wait", "copy", "compute")) == pytest.approx(1)
        assert len(line["decode_fractions"]) == available_cores()
        assert all(0 <= fraction <= 1 for fraction in line["decode_fractions"])
        assert line["skipped_images"] == 0
        assert line["seconds"] > 0
        assert line["images_per_second"] > 0
    assert (tmp_path / "metrics.csv").read_text().count("\n") == 4


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    trained = []
    for seed in (1, 1, 2):
        plan = Plan(1, 8, StepSchedule(0.05, 1, 0.5), seed=seed)
        with trainer_of(Setting(plan=plan)) as trainer:
            list(trainer.fit())
            trained.append(weights_of(trainer))
    assert trained[0] == trained[1]
    assert trained[0] != trained[2]


def test_a_second_signal_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        left.append(status)
        raise Left

    monkeypatch.setattr("gpunn.training.interruption.os._exit", leave)
    original = Learner.learn

    def learn(learner: Learner, *arguments: Any, **named: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        original(learner, *arguments, **named)

    monkeypatch.setattr(Learner, "learn", learn)
    with trainer_of(Setting(), tmp_path) as trainer, pytest.raises(Left):
        list(trainer.fit())
    assert left == [143]
    assert state_of(tmp_path)["progress"]["step"] == 0


def test_the_old_handlers_come_back(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with trainer_of(Setting(), tmp_path) as trainer:
        list(trainer.fit())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_observer_that_cannot_print_now_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal in the middle of a print: the announcement would enter the stream a second time."""

    class Printing(Silence):
        def on_note(self, text: str) -> None:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

        def on_step(self, report: StepReport) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    setting = Setting()
    with trainer_of(setting) as plain:
        run = RunFolder(tmp_path)
        trainer = Trainer(plain.learner, setting.plan, plain.split, plain.preprocessing, None, run, None, Printing())
        with pytest.raises(TrainingInterrupted):
            list(trainer.fit())
    assert state_of(tmp_path)["progress"]["step"] > 0


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is saved of the epoch, and the run can be resumed."""
    setting = Setting()
    with trainer_of(setting, tmp_path) as trainer:
        original = trainer.split.train.load

        def load(index: int) -> Any:
            if index == 33:
                raise DataError("it is truncated")
            return original(index)

        monkeypatch.setattr(trainer.split.train, "load", load)
        with pytest.raises(DataError, match="image 33 of the array: it is truncated"):
            list(trainer.fit())
        assert not (tmp_path / "metrics.jsonl").read_text()
    with trainer_of(setting, tmp_path) as trainer:
        trainer.resume()
        assert len(list(trainer.fit())) == 3


def test_a_run_of_a_network_made_in_python_says_how_to_go_on(tmp_path: Path) -> None:
    """It has no name to be rebuilt by."""
    path = tmp_path / "run"
    with trainer_of(Setting(optimizer=Sgd), path) as trainer:
        list(trainer.fit())
    for action in (
        lambda: resume_run(path, Silence()),
        lambda: evaluate_run(path, None, "cpu"),
        lambda: load_run(path, "cpu"),
    ):
        with pytest.raises(UsageError, match=r"built in Python.*Trainer\.resume\(\)"):
            action()


@pytest.mark.parametrize(("batch_size", "accumulate"), [(50, 1), (50, 9), (30, 2), (9, 6), (200, 1)])
def test_the_mean_is_over_the_images_that_an_update_has(batch_size: int, accumulate: int) -> None:
    """One update on all 50 images, however large a batch was allowed."""
    trained = []
    for plan in (
        Plan(1, batch_size, ConstantSchedule(0.05), accumulate=accumulate),
        Plan(1, 50, ConstantSchedule(0.05)),
    ):
        with trainer_of(Setting(network_without_statistics, plan=plan)) as trainer:
            list(trainer.fit())
            trained.append(trainer.learner.state.parameters.export())
    for name, values in trained[1].items():
        np.testing.assert_allclose(trained[0][name], values, rtol=1e-4, atol=1e-6)


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    original = Learner.learn

    def learn(learner: Learner, batch: Any, **named: Any) -> None:
        shown.extend(batch.indices.tolist())
        original(learner, batch, **named)

    monkeypatch.setattr(Learner, "learn", learn)
    with trainer_of(Setting()) as trainer:
        list(trainer.fit())
    epochs = [shown[first : first + 50] for first in range(0, 150, 50)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(50))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_new_run_never_writes_over_another(tmp_path: Path) -> None:
    """Someone forgot to call resume."""
    path = tmp_path / "deep" / "run"
    setting = Setting()
    with trainer_of(setting) as plain:
        for number in range(2):
            trainer = Trainer(plain.learner, setting.plan, plain.split, plain.preprocessing, run=RunFolder(path))
            if number == 0:
                list(trainer.fit())
                continue
            before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
            with pytest.raises(UsageError, match=r"holds a run already; call resume\(\)"):
                list(trainer.fit())
            assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
            trainer.resume()
            assert list(trainer.fit()) == []


def test_one_update_from_random_weights_is_no_guessing() -> None:
    """The loss of the first weights lies at ln(3) whatever comes of them."""
    observer = Recorder()
    setting = Setting(linear, plan=Plan(1, 50, ConstantSchedule(0.05)))
    with trainer_of(setting, None, observer) as trainer:
        values = trainer.learner.state.parameters.export()
        trainer.learner.state.parameters.load({name: 0 * held for name, held in values.items()})
        (record,) = trainer.fit()
    assert record.train_loss == pytest.approx(log(3), rel=1e-6)
    assert observer.notes == []


def test_resuming_in_python_with_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with trainer_of(Setting(optimizer=Sgd), path) as trainer:
        list(trainer.fit())
        other = Trainer(
            trainer.learner,
            replace(trainer.plan, batch_size=trainer.plan.batch_size + 1),
            trainer.split,
            trainer.preprocessing,
            run=RunFolder(path),
        )
        with pytest.raises(CheckpointError, match="batch_size"):
            other.resume()


def test_a_run_that_stays_at_chance_is_warned_of_once(cpu: Device) -> None:
    """All pictures are alike, so every third guess is right."""
    labels = np.arange(30, dtype=np.int32) % 3
    half = ArrayDataset(np.full((30, SIZE, SIZE, 1), 7, np.uint8), labels, ("a", "b", "c"), "alike")
    preprocessing = Preprocessing(SIZE, SIZE, 1, "stretch", SIZE, (0.5,), (0.5,))
    learner = Learner(linear(), cpu, precision("float32"), preprocessing, Rule(Sgd(momentum=0.0)))
    recorder = Recorder()
    plan = Plan(4, 30, ConstantSchedule(1e-6))
    list(Trainer(learner, plan, Split(half, half, "alike"), preprocessing, observer=recorder).fit())
    assert sum("by guessing 1 of 3" in note for note in recorder.notes) == 1


@pytest.mark.parametrize("error", [TypeError("its list of fonts is damaged"), ValueError(), OSError("disk full")])
def test_curves_that_cannot_be_drawn_cost_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def draw(*_: object) -> None:
        raise error

    monkeypatch.setattr("gpunn.training.curve_picture.draw_curves", draw)
    observer = Recorder()
    with trainer_of(Setting(), tmp_path, observer) as trainer:
        assert len(list(trainer.fit())) == trainer.plan.epochs
    told = f"the curves could not be drawn: {str(error) or 'ValueError'}"
    assert trainer.plan.epochs > 1
    assert observer.notes.count(told) == 1
