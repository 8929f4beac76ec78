"""Images that cannot be read: left out and counted, or the end of a run that can be gone on with."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pytest

from gpunn.backend.cpu.device import CpuDevice
from gpunn.data.checking.quarantine import read_quarantine
from gpunn.data.dataset import Split
from gpunn.data.loading.order import epoch_order
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import CheckpointError, DataError, UsageError
from gpunn.layers import Flatten, Linear
from gpunn.network import Network, Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.learner import Learner
from gpunn.training.loader_settings import LoaderSettings, Policy
from gpunn.training.observer import StepReport
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.supply import Supply
from gpunn.training.time_spent import Stopwatch, TimeSpent
from gpunn.training.trainer import Trainer, TrainingInterrupted
from tests.training.runs import (
    CLASSES,
    SIZE,
    Recorder,
    assert_same_run,
    network,
    preprocessing_of,
    records_of,
    state_of,
    striped,
)

pytestmark = pytest.mark.usefixtures("no_curves")

#: 50 images in batches of 8, in groups of three; the last group has one batch of two.
PLAN = Plan(3, 8, ConstantSchedule(0.05), accumulate=3, seed=5)

RAISE, SKIP, QUARANTINE = (LoaderSettings(unreadable=policy) for policy in get_args(Policy))


class Damaged(ArrayDataset):
    """Some of its images cannot be read."""

    def __init__(self, images: int, seed: int, broken: tuple[int, ...]) -> None:
        super().__init__(*striped(images, seed), CLASSES)
        self.broken = broken

    def load(self, index: int) -> Any:
        if index in self.broken:
            raise DataError("it is truncated")
        return super().load(index)


def split_with(train: tuple[int, ...] = (), validation: tuple[int, ...] = ()) -> Split:
    return Split(Damaged(50, 1, train), Damaged(21, 2, validation), "stripes")


def mended(split: Split) -> None:
    for half in (split.train, split.validation):
        assert isinstance(half, Damaged)
        half.broken = ()


def trainer_of(
    split: Split,
    path: Path | None,
    loading: LoaderSettings = SKIP,
    plan: Plan = PLAN,
    observer: Recorder | None = None,
    build: Any = network,
) -> Trainer:
    # The preprocessing of the whole images: statistics read the broken ones, too.
    preprocessing = preprocessing_of(split_with())
    learner = Learner(build(), CpuDevice(1), precision("float32"), preprocessing, Rule(Sgd(momentum=0.9), seed=7))
    run = RunFolder(path) if path is not None else None
    return Trainer(learner, plan, split, preprocessing, None, run, None, observer, loading)


def linear() -> Network:
    return Sequential(Flatten(name="flatten"), Linear(None, 3, name="fc")).network((SIZE, SIZE, 1), "linear")


def scores_of(trainer: Trainer, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of the linear network, in float64."""
    weights = trainer.learner.state.parameters.export()
    preprocessing = trainer.preprocessing
    pixels = (images.reshape(len(images), -1) / 255 - preprocessing.mean[0]) / preprocessing.std[0]
    scores: np.ndarray[Any, Any] = pixels @ weights["fc.weight"].astype(np.float64) + weights["fc.bias"]
    return scores


def probabilities(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: np.ndarray[Any, Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


class TestSkipping:
    """The rest of the batch is trained with."""

    def test_they_are_counted_and_each_is_named_once(self) -> None:
        observer = Recorder()
        trainer = trainer_of(split_with((3, 17, 33), (20,)), None, observer=observer)
        records = list(trainer.fit())
        assert [record.skipped_images for record in records] == [4, 4, 4]
        assert [record.step for record in records] == [3, 6, 9]
        named = [note for note in observer.notes if note.startswith("left out: ")]
        assert sorted(named) == [
            f"left out: image {index} of the array: it is truncated" for index in ("17", "20", "3", "33")
        ]

    def test_the_figures_are_those_of_the_images_that_can_be_read(self) -> None:
        """With a rate of almost nothing the weights stay."""
        plan = Plan(1, 8, ConstantSchedule(1e-30))
        trainer = trainer_of(split_with((0, 1, 49), (7,)), None, plan=plan, build=linear)
        (record,) = trainer.fit()
        for found, (images, labels), broken in (
            (record.train_loss, striped(50, 1), (0, 1, 49)),
            (record.validation_loss, striped(21, 2), (7,)),
        ):
            kept = [index for index in range(len(images)) if index not in broken]
            right = probabilities(scores_of(trainer, images[kept]))[np.arange(len(kept)), labels[kept]]
            assert found == pytest.approx(-np.log(right).mean(), rel=1e-5)

    @pytest.mark.parametrize(("batch_size", "accumulate"), [(50, 1), (25, 2)])
    def test_an_update_divides_by_the_images_planned(self, batch_size: int, accumulate: int) -> None:
        """Softmax regression by hand: a missing image has no gradient."""
        plan = Plan(1, batch_size, ConstantSchedule(0.25), accumulate=accumulate)
        trainer = trainer_of(split_with((3, 4, 30)), None, plan=plan, build=linear)
        images, labels = striped(50, 1)
        kept = [index for index in range(50) if index not in (3, 4, 30)]
        error = probabilities(scores_of(trainer, images[kept])) - np.eye(3)[labels[kept]]
        before = trainer.learner.state.parameters.export()["fc.bias"]
        list(trainer.fit())
        after = trainer.learner.state.parameters.export()["fc.bias"]
        np.testing.assert_allclose(after, before - 0.25 * error.sum(axis=0) / 50, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize(("accumulate", "lost"), [(1, 0), (1, 2), (1, 4), (2, 0), (2, 1), (2, 2), (2, 4)])
    def test_a_pass_of_which_nothing_can_be_read_has_no_gradient(self, accumulate: int, lost: int) -> None:
        """Softmax regression by hand, in five passes of ten images."""
        plan = Plan(1, 10, ConstantSchedule(0.25), accumulate=accumulate, seed=5)
        passes = epoch_order(split_with().train, plan.seed, 0).reshape(5, 10)
        trainer = trainer_of(split_with(tuple(passes[lost].tolist())), None, plan=plan, build=linear)
        start = trainer.learner.state.parameters.export()
        weights, bias = (start[name].astype(np.float64) for name in ("fc.weight", "fc.bias"))
        images, labels = striped(50, 1)
        mean, deviation = trainer.preprocessing.mean[0], trainer.preprocessing.std[0]
        pixels = (images.reshape(50, -1) / 255 - mean) / deviation
        moved, turned = np.zeros_like(weights), np.zeros_like(bias)
        for first in range(0, 5, accumulate):
            group = range(first, min(first + accumulate, 5))
            kept = np.concatenate([passes[number] for number in group if number != lost] or [passes[0][:0]])
            error = (probabilities(pixels[kept] @ weights + bias) - np.eye(3)[labels[kept]]) / (10 * len(group))
            moved, turned = 0.9 * moved + pixels[kept].T @ error, 0.9 * turned + error.sum(axis=0)
            weights, bias = weights - 0.25 * moved, bias - 0.25 * turned
        (record,) = trainer.fit()
        assert (record.skipped_images, record.step) == (10, len(range(0, 5, accumulate)))
        found = trainer.learner.state.parameters.export()
        np.testing.assert_allclose(found["fc.weight"], weights, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["fc.bias"], bias, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("batch_size", [7, 20])
    def test_a_last_batch_of_one_image_ends_no_run(self, batch_size: int) -> None:
        """In batches of 7 the last training image is alone, in batches of 20 the last validation image."""
        plan = Plan(2, batch_size, ConstantSchedule(0.05), seed=5)
        last = int(epoch_order(split_with().train, plan.seed, 1)[-1])
        records = list(trainer_of(split_with((last,), (20,)), None, plan=plan).fit())
        assert [record.skipped_images for record in records] == [2, 2]
        assert all(np.isfinite((record.train_loss, record.validation_loss)).all() for record in records)

    @pytest.mark.parametrize("half", ["training", "validation"])
    def test_nothing_at_all_can_be_read(self, tmp_path: Path, half: str) -> None:
        split = split_with(tuple(range(50))) if half == "training" else split_with((), tuple(range(21)))
        with pytest.raises(DataError, match=r"not one of the (training images|pictures) can be read.* snapshot"):
            list(trainer_of(split, tmp_path).fit())

    def test_many_are_named_in_part_and_counted(self) -> None:
        observer = Recorder()
        broken = tuple(range(0, 50, 2))
        list(trainer_of(split_with(broken), None, plan=replace(PLAN, epochs=2), observer=observer).fit())
        named = [note for note in observer.notes if note.startswith("left out: image")]
        assert len(set(named)) == len(named) == 20
        assert [note for note in observer.notes if note not in named] == ["left out: 5 more images that cannot be read"]

    def test_the_bar_reaches_its_end(self) -> None:
        reports: list[StepReport] = []

        class Watching(Recorder):
            def on_step(self, report: StepReport) -> None:
                reports.append(report)

        list(trainer_of(split_with((3, 17, 33)), None, observer=Watching(), plan=replace(PLAN, epochs=1)).fit())
        assert (reports[-1].images_done, reports[-1].images) == (50, 50)

    @pytest.mark.parametrize("step", [1, 2, 4])
    def test_resumed_equals_uninterrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        split = split_with((3, 17, 33, 34), (20,))
        list(trainer_of(split, tmp_path / "whole").fit())
        original = Learner.update
        updates = 0

        def update(learner: Learner, learning_rate: float) -> None:
            nonlocal updates
            updates += 1
            if updates == step:
                os.kill(os.getpid(), signal.SIGINT)
            original(learner, learning_rate)

        monkeypatch.setattr(Learner, "update", update)
        with pytest.raises(TrainingInterrupted):
            list(trainer_of(split, tmp_path / "parts").fit())
        trainer = trainer_of(split, tmp_path / "parts")
        trainer.resume()
        list(trainer.fit())
        assert_same_run(tmp_path / "parts", tmp_path / "whole")
        assert [record["skipped_images"] for record in records_of(tmp_path / "parts")] == [5, 5, 5]

    def test_another_policy_is_refused(self) -> None:
        with pytest.raises(UsageError, match="unreadable is 'ignore'; choose raise, skip, quarantine"):
            LoaderSettings(unreadable=cast(Policy, "ignore"))


class TestQuarantine:
    """Skipped, and written down."""

    def test_every_image_once(self, tmp_path: Path) -> None:
        split = split_with((3, 17), (20,))
        for number in range(2):
            trainer = trainer_of(split, tmp_path, QUARANTINE, replace(PLAN, epochs=2))
            if number == 1:
                trainer.resume()
                assert list(trainer.fit()) == []
                break
            next(trainer.fit())
            trainer = trainer_of(split, tmp_path, QUARANTINE, replace(PLAN, epochs=2))
            trainer.resume()
            list(trainer.fit())
        lines = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
        assert sorted(line["path"] for line in lines) == ["train/17", "train/3", "validation/20"]
        assert {line["reason"] for line in lines} == {"it is truncated"}
        assert set(read_quarantine(tmp_path / "quarantine.jsonl")) == {"train/17", "train/3", "validation/20"}

    def test_skipping_alone_writes_none(self, tmp_path: Path) -> None:
        list(trainer_of(split_with((3,)), tmp_path).fit())
        assert not (tmp_path / "quarantine.jsonl").exists()

    def test_a_disk_that_refuses_costs_no_training(self, tmp_path: Path) -> None:
        (tmp_path / "quarantine.jsonl").mkdir()
        observer = Recorder()
        trainer = trainer_of(split_with((3, 17)), tmp_path, QUARANTINE, observer=observer)
        assert len(list(trainer.fit())) == 3
        assert sum("quarantine.jsonl' could not be written" in note for note in observer.notes) == 1


class TestRaising:
    """The default: the run ends, and what was learned is kept."""

    @pytest.mark.parametrize("broken", [0, 9, 17, 25, 33, 41, 49])
    def test_what_was_learned_is_kept(self, tmp_path: Path, broken: int) -> None:
        """Wherever in a group of passes the image is; once mended, the run goes on as if nothing had been."""
        list(trainer_of(split_with(), tmp_path / "whole", RAISE).fit())
        split = split_with((broken,))
        with pytest.raises(DataError, match=rf"image {broken} of the array: it is truncated.*snapshot was written"):
            list(trainer_of(split, tmp_path / "parts", RAISE).fit())
        mended(split)
        trainer = trainer_of(split, tmp_path / "parts", RAISE)
        trainer.resume()
        list(trainer.fit())
        assert_same_run(tmp_path / "parts", tmp_path / "whole")

    def test_the_last_update_before_it_is_in_the_snapshot(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An image of the second epoch's fifth pass: one update of three passes was made there."""
        split = split_with()
        original = Learner.learn
        shown: list[Any] = []

        def learn(learner: Learner, batch: Any, **named: Any) -> None:
            shown.append(batch.indices.copy())
            if len(shown) == 12:
                raise DataError("the storage is gone")
            original(learner, batch, **named)

        monkeypatch.setattr(Learner, "learn", learn)
        with pytest.raises(DataError, match=r"the storage is gone\. A snapshot was written at step 4; "):
            list(trainer_of(split, tmp_path / "parts", RAISE).fit())
        progress = state_of(tmp_path / "parts")["progress"]
        assert (progress["epoch"], progress["batch"], progress["step"]) == (1, 3, 4)
        assert progress["totals"][0][3] == 24

    def test_the_same_trainer_goes_on(self, tmp_path: Path) -> None:
        list(trainer_of(split_with(), tmp_path / "whole", RAISE).fit())
        split = split_with((33,))
        trainer = trainer_of(split, tmp_path / "parts", RAISE)
        with pytest.raises(DataError):
            list(trainer.fit())
        mended(split)
        list(trainer.fit())
        assert_same_run(tmp_path / "parts", tmp_path / "whole")

    def test_an_image_of_the_validation_half(self, tmp_path: Path) -> None:
        list(trainer_of(split_with(), tmp_path / "whole", RAISE).fit())
        split = split_with((), (20,))
        with pytest.raises(DataError, match=r"snapshot was written at step 3; .*Trainer\.resume\(\)"):
            list(trainer_of(split, tmp_path / "parts", RAISE).fit())
        assert state_of(tmp_path / "parts")["progress"]["batch"] == 7
        mended(split)
        trainer = trainer_of(split, tmp_path / "parts", RAISE)
        trainer.resume()
        list(trainer.fit())
        assert_same_run(tmp_path / "parts", tmp_path / "whole")

    def test_storage_that_hangs(self, tmp_path: Path) -> None:
        """Nobody waits for it, neither in training nor when the workers are ended."""
        list(trainer_of(split_with(), tmp_path / "whole", RAISE).fit())
        split = split_with()
        answers = threading.Event()
        load = split.train.load

        def hang(index: int) -> Any:
            if index == 33:
                answers.wait()
            return load(index)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(split.train, "load", hang)
            patch.setattr("gpunn.data.loading.thread_workers.END_SECONDS", 0.1)
            trainer = trainer_of(split, tmp_path / "parts", LoaderSettings(timeout=0.3))
            try:
                with pytest.raises(DataError, match=r"image 33 of the array.*snapshot was written"):
                    list(trainer.fit())
            finally:
                answers.set()
        trainer = trainer_of(split, tmp_path / "parts", RAISE)
        trainer.resume()
        list(trainer.fit())
        assert_same_run(tmp_path / "parts", tmp_path / "whole")

    def test_a_disk_that_refuses_the_snapshot_hides_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = CheckpointFolder.save

        def save(folder: CheckpointFolder, tensors: Any, manifest: Any, *, is_best: bool) -> None:
            if manifest.progress["step"]:
                raise CheckpointError("the disk is full")
            original(folder, tensors, manifest, is_best=is_best)

        monkeypatch.setattr(CheckpointFolder, "save", save)
        with pytest.raises(DataError, match=r"it is truncated; no snapshot could be written: the disk is full"):
            list(trainer_of(split_with((), (20,)), tmp_path, RAISE).fit())

    def test_without_a_run_folder_the_error_is_left_as_it_is(self) -> None:
        with pytest.raises(DataError, match=r"it is truncated$"):
            list(trainer_of(split_with((33,)), None, RAISE).fit())


@pytest.mark.parametrize("ends", ["at its end", "by an error", "by leaving the loop"])
def test_the_workers_end_with_the_run(ends: str) -> None:
    threads = threading.active_count()
    trainer = trainer_of(split_with((33,) if ends == "by an error" else ()), None, RAISE)
    run = trainer.fit()
    if ends == "by an error":
        with pytest.raises(DataError):
            list(run)
    elif ends == "at its end":
        list(run)
    else:
        next(run)
        assert threading.active_count() > threads
        run.close()
    assert threading.active_count() == threads


def test_a_run_that_waits_says_so_after_its_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is given; it is said after the first epoch and not again."""
    waiting = TimeSpent(seconds=2.0, waited=1.5, copied=0.1, decoding=(1.9,), images_read=50)
    monkeypatch.setattr(Stopwatch, "read", lambda _: waiting)
    observer = Recorder()
    records = list(trainer_of(split_with(), None, plan=replace(PLAN, workers=1), observer=observer).fit())
    assert len(observer.notes) == 1
    assert observer.notes[0].startswith("the device waited 75% of the time: preparing 26 images/s on 1 worker; ")
    assert [(one.data_wait_fraction, one.copy_fraction, one.decode_fractions) for one in records] == [
        (0.75, 0.05, (0.95,))
    ] * 3
    assert [one.compute_fraction for one in records] == pytest.approx([0.2] * 3)


def test_time_of_an_interrupted_epoch_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first part was measured with two workers, the rest with one."""
    trainer = trainer_of(split_with((33,)), tmp_path, RAISE, replace(PLAN, workers=2))
    with pytest.raises(DataError):
        list(trainer.fit())
    before = trainer.progress.spent
    mended(trainer.split)
    again = trainer_of(trainer.split, tmp_path, RAISE, replace(PLAN, workers=1))
    again.resume()
    assert again.progress.spent == before
    (record, *_) = again.fit()
    assert record.decode_fractions is not None
    assert len(record.decode_fractions) == 2


def test_advice_is_said_once_until_it_changes() -> None:
    told: list[str] = []
    preprocessing = preprocessing_of(split_with())
    plan = replace(PLAN, workers=1)
    supply = Supply(split_with(), preprocessing, None, plan, LoaderSettings(), None, told.append)
    waiting = TimeSpent(seconds=10.0, waited=6.0, decoding=(9.5,), images_read=1000)
    supply.end_epoch(waiting, 1000)
    supply.end_epoch(replace(waiting, waited=5.0), 1000)
    supply.end_epoch(replace(waiting, waited=0.0), 1000)
    supply.close()
    assert len(told) == 1
    assert told[0].startswith("the device waited 60% of the time: preparing 105 images/s on 1 worker; ")
