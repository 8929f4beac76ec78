"""A run that was interrupted and resumed equals one that was not, bit for bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.attributes import Penalty
from gpunn.data.dataset import Split
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import CheckpointError, UsageError
from gpunn.layers import Flatten, Linear
from gpunn.network import Network, Sequential
from gpunn.optimizers import AdaGrad, Adam, AdamW, Optimizer, RmsProp, Sgd
from gpunn.schedules import CosineSchedule, WarmUp
from gpunn.training.early_stopping import EarlyStopping
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.trainer import Trainer, TrainingInterrupted
from tests.training.runs import (
    CLASSES,
    SIZE,
    Recorder,
    Setting,
    assert_same_run,
    records_of,
    state_of,
    striped,
    stripes,
    trainer_of,
)

pytestmark = pytest.mark.usefixtures("no_curves")

#: 50 images in batches of 8: seven batches, in groups of three; the last group has one batch of two images.
SETTING = Setting(
    plan=Plan(3, 8, WarmUp(1.5, CosineSchedule(0.05, 3)), accumulate=3, seed=5, patience=3),
    rule={"smoothing": 0.1, "clip_norm": 1.0, "penalties": (Penalty(1, 1e-4),), "seed": 7},
)
OPTIMIZERS: tuple[Callable[[], Optimizer], ...] = (
    lambda: Sgd(weight_decay=1e-3, momentum=0.9),
    Adam,
    AdamW,
    RmsProp,
    AdaGrad,
)


def train(setting: Setting, path: Path, observer: Recorder | None = None) -> None:
    with trainer_of(setting, path, observer) as trainer:
        for _ in trainer.fit():
            pass


def resume(setting: Setting, path: Path, observer: Recorder | None = None) -> None:
    with trainer_of(setting, path, observer) as trainer:
        trainer.resume()
        for _ in trainer.fit():
            pass


@pytest.fixture
def signal_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int, signal.Signals], None]]:
    """Sends this process a signal while a learner's method is called for the n-th time."""

    def prepare(method: str, calls: int, number: signal.Signals) -> None:
        original = getattr(Learner, method)
        made = 0

        def counted(*arguments: object, **named: object) -> object:
            nonlocal made
            made += 1
            if made == calls:
                os.kill(os.getpid(), number)
            return original(*arguments, **named)

        monkeypatch.setattr(Learner, method, counted)

    yield prepare
    monkeypatch.undo()


def interrupt(setting: Setting, path: Path, exit_code: int) -> None:
    with trainer_of(setting, path) as trainer, pytest.raises(TrainingInterrupted) as caught:
        for _ in trainer.fit():
            pass
    assert caught.value.exit_code == exit_code


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uninterrupted")
    train(SETTING, path)
    assert (path / "curves.png").is_file()
    return path


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("method", "calls"), [("learn", 1), ("learn", 4), ("learn", 7), ("update", 5), ("update", 9), ("learn", 21)]
)
def test_a_signal_in_any_step(
    tmp_path: Path,
    uninterrupted: Path,
    signal_after: Callable[[str, int, signal.Signals], None],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    calls: int,
    number: signal.Signals,
    exit_code: int,
) -> None:
    signal_after(method, calls, number)
    interrupt(SETTING, tmp_path, exit_code)
    monkeypatch.undo()
    resume(SETTING, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_signal_during_validation(
    tmp_path: Path,
    uninterrupted: Path,
    signal_after: Callable[[str, int, signal.Signals], None],
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
) -> None:
    signal_after("evaluate", epoch, signal.SIGINT)
    interrupt(SETTING, tmp_path, 130)
    assert state_of(tmp_path)["progress"]["batch"] == 7
    monkeypatch.undo()
    resume(SETTING, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


def test_signals_again_and_again(
    tmp_path: Path,
    uninterrupted: Path,
    signal_after: Callable[[str, int, signal.Signals], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of many attempts gets as far as one update."""
    signal_after("update", 1, signal.SIGTERM)
    interrupt(SETTING, tmp_path, 143)
    monkeypatch.undo()
    for _ in range(30):
        signal_after("update", 1, signal.SIGTERM)
        try:
            resume(SETTING, tmp_path)
        except TrainingInterrupted:
            continue
        finally:
            monkeypatch.undo()
        break
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_every_optimizer(
    tmp_path: Path,
    signal_after: Callable[[str, int, signal.Signals], None],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Optimizer],
) -> None:
    setting = replace(SETTING, optimizer=make, plan=Plan(2, 16, WarmUp(1, CosineSchedule(0.01, 2)), seed=3))
    train(setting, tmp_path / "whole")
    signal_after("learn", 6, signal.SIGINT)
    interrupt(setting, tmp_path / "parts", 130)
    monkeypatch.undo()
    resume(setting, tmp_path / "parts")
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize("epochs", [1, 2])
def test_leaving_the_loop_at_the_end_of_an_epoch(tmp_path: Path, uninterrupted: Path, epochs: int) -> None:
    with trainer_of(SETTING, tmp_path) as trainer:
        for record in trainer.fit():
            if record.epoch == epochs:
                break
    resume(SETTING, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


def test_the_same_trainer_goes_on(
    tmp_path: Path, uninterrupted: Path, signal_after: Callable[[str, int, signal.Signals], None]
) -> None:
    """In a notebook, Ctrl-C and a second call of fit."""
    signal_after("update", 4, signal.SIGINT)
    with trainer_of(SETTING, tmp_path) as trainer:
        with pytest.raises(TrainingInterrupted):
            list(trainer.fit())
        assert len(list(trainer.fit())) == 2
    assert_same_run(tmp_path, uninterrupted)


def test_a_snapshot_in_mid_epoch_changes_nothing(tmp_path: Path, uninterrupted: Path) -> None:
    setting = replace(SETTING, plan=replace(SETTING.plan, checkpoint_seconds=0.0))
    train(setting, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


def test_the_number_of_loading_threads_changes_nothing(tmp_path: Path, uninterrupted: Path) -> None:
    train(replace(SETTING, plan=replace(SETTING.plan, workers=5)), tmp_path)
    assert_same_run(tmp_path, uninterrupted)


def test_a_damaged_last_checkpoint(
    tmp_path: Path,
    uninterrupted: Path,
    signal_after: Callable[[str, int, signal.Signals], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run goes on from the one before, says so, and does not let the damaged file push that one out."""
    signal_after("update", 5, signal.SIGINT)
    interrupt(SETTING, tmp_path, 130)
    last = tmp_path / "checkpoints" / "last.safetensors"
    sound = (tmp_path / "checkpoints" / "previous.safetensors").read_bytes()
    content = bytearray(last.read_bytes())
    content[-7] ^= 1
    last.write_bytes(content)
    monkeypatch.undo()

    observer = Recorder()
    with trainer_of(SETTING, tmp_path, observer) as trainer:
        trainer.resume()
        signal_after("update", 1, signal.SIGINT)
        with pytest.raises(TrainingInterrupted):
            list(trainer.fit())
    monkeypatch.undo()
    assert "does not match its SHA-256" in observer.notes[0]
    assert (tmp_path / "checkpoints" / "previous.safetensors").read_bytes() == sound

    resume(SETTING, tmp_path)
    assert_same_run(tmp_path, uninterrupted)


def test_a_finished_run(tmp_path: Path, uninterrupted: Path) -> None:
    train(SETTING, tmp_path)
    with trainer_of(SETTING, tmp_path) as trainer:
        trainer.resume()
        assert trainer.progress.finished
        assert list(trainer.fit()) == []
    assert_same_run(tmp_path, uninterrupted)


def test_patience_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The validation accuracies are given: best in epoch 2, two epochs of patience, one of them before the break."""
    original = EarlyStopping.update
    given = {1: 0.5, 2: 0.7, 3: 0.6, 4: 0.7, 5: 0.9}
    monkeypatch.setattr(EarlyStopping, "update", lambda self, epoch, _: original(self, epoch, given[epoch]))
    setting = replace(SETTING, plan=replace(SETTING.plan, epochs=5, patience=2))
    with trainer_of(setting, tmp_path) as trainer:
        for record in trainer.fit():
            if record.epoch == 3:
                break
    with trainer_of(setting, tmp_path) as trainer:
        trainer.resume()
        assert [record.epoch for record in trainer.fit()] == [4]
        weights = trainer.learner.state.parameters.export()
    progress = state_of(tmp_path)["progress"]
    assert (progress["epoch"], progress["finished"]) == (4, True)
    best = state_of(tmp_path, "best")
    assert best["progress"]["epoch"] == 2
    assert {name: values.tobytes() for name, values in weights.items()} == {name: best[name][2] for name in weights}


def test_other_threads_are_told(tmp_path: Path) -> None:
    train(SETTING, tmp_path)
    observer = Recorder()
    with trainer_of(SETTING, tmp_path, observer, threads=2) as trainer:
        trainer.resume()
    assert observer.notes == [
        "the checkpoint was written on another device or with other threads: sums will be rounded differently"
    ]


def other_network() -> Network:
    return Sequential(Flatten(name="flatten"), Linear(None, 5, name="fc1"), Linear(5, 3, name="fc2")).network(
        (SIZE, SIZE, 1), "other"
    )


def test_another_network_is_refused_with_a_table(tmp_path: Path, uninterrupted: Path) -> None:
    train(SETTING, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with trainer_of(replace(SETTING, build=other_network), tmp_path) as trainer:
        fresh = trainer.learner.state.export()
        with pytest.raises(CheckpointError) as caught:
            trainer.resume()
        for name, values in trainer.learner.state.export().items():
            np.testing.assert_array_equal(values, fresh[name])
    rows = [line.split() for line in str(caught.value).splitlines()[1:]]
    assert ["fc2.weight", "5x3", "100x3", "different", "shape"] in rows
    assert ["fc1.bias", "5", "-", "missing"] in rows
    assert ["bn1.running_mean", "-", "4", "unexpected"] in rows
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_changed_data_are_refused_unless_allowed(tmp_path: Path) -> None:
    train(SETTING, tmp_path)
    changed = replace(SETTING, split=lambda: stripes(train=51))
    with trainer_of(changed, tmp_path) as trainer:
        with pytest.raises(CheckpointError, match="added, removed or changed"):
            trainer.resume()
        trainer.resume(changed_data=True)
        assert trainer.progress.finished


def test_other_classes_are_refused_even_then(tmp_path: Path) -> None:
    """The outputs would be trained to mean something else."""

    def renamed() -> Split:
        names = (*CLASSES[:2], "base")
        return Split(ArrayDataset(*striped(50, 1), names), ArrayDataset(*striped(21, 2), names), "renamed")

    train(SETTING, tmp_path)
    with (
        trainer_of(replace(SETTING, split=renamed), tmp_path) as trainer,
        pytest.raises(CheckpointError, match=r"'bottom'.*'base'"),
    ):
        trainer.resume(changed_data=True)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with trainer_of(SETTING) as trainer, pytest.raises(UsageError, match="without a run folder"):
        trainer.resume()
    with trainer_of(SETTING, tmp_path) as trainer, pytest.raises(CheckpointError, match="no checkpoint"):
        trainer.resume()


def test_epochs_after_the_checkpoint_are_cut_from_the_metrics(tmp_path: Path, uninterrupted: Path) -> None:
    """Killed between the line of an epoch and its checkpoint."""

    class Killed(BaseException):
        pass

    original = Trainer._save

    def save(trainer: Trainer, is_best: bool) -> None:
        if trainer.progress.epoch == 2:
            raise Killed
        original(trainer, is_best)

    with pytest.MonkeyPatch.context() as patch, trainer_of(SETTING, tmp_path) as trainer:
        patch.setattr(Trainer, "_save", save)
        with pytest.raises(Killed):
            list(trainer.fit())
    assert len(records_of(tmp_path)) == 2
    resume(SETTING, tmp_path)
    assert_same_run(tmp_path, uninterrupted)
