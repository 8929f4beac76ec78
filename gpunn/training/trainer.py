"""Mini-batch gradient descent over epochs: order, schedule, validation, checkpoints, early stopping, interruption."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from itertools import islice, takewhile
from typing import Any

import numpy as np

from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Split
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import CheckpointError, DataError, DivergedError, GpunnError, UsageError
from gpunn.heartbeat import Heartbeat
from gpunn.training.agreement import require_data, require_same_preprocessing, require_soft_labels
from gpunn.training.curve_picture import CurvePicture
from gpunn.training.early_stopping import EarlyStopping
from gpunn.training.guessing import Guessing
from gpunn.training.history import EpochRecord, History
from gpunn.training.interruption import InterruptionGuard
from gpunn.training.learner import Learner
from gpunn.training.loader_settings import LoaderSettings
from gpunn.training.observer import Observer, Silence, StepReport
from gpunn.training.plan import Plan
from gpunn.training.progress import Progress
from gpunn.training.resumption import how_to_go_on, require_same_run, require_same_settings, settings_of
from gpunn.training.run_folder import RunFolder
from gpunn.training.snapshots import Snapshots
from gpunn.training.supply import Supply
from gpunn.training.time_spent import Stopwatch
from gpunn.training.totals import Totals
from gpunn.training.watch import Watch

#: Seconds between two reports of progress.
REPORT_SECONDS = 0.2


class TrainingInterrupted(Exception):  # noqa: N818 - an orderly end that was asked for, not an error
    """A signal ended the run after a snapshot was written; `exit_code` is 130 or 143."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"interrupted, exit status {exit_code}")
        self.exit_code = exit_code


class Trainer:
    """Trains a learner on a split, epoch by epoch.

    Args:
        learner: the network with its state; it has a rule.
        plan: what to do.
        split: training and validation images.
        preprocessing: how an image becomes the network's input.
        augmentation: what is done to training images.
        run: the folder to write to; None writes nothing.
        description: the parts of the manifest that name network and configuration.
        observer: who is told.
        loading: how images are read.

    Attributes:
        curves: draws the learning curves; None where nothing is written.
    """

    def __init__(
        self,
        learner: Learner,
        plan: Plan,
        split: Split,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None = None,
        run: RunFolder | None = None,
        description: Mapping[str, dict[str, Any]] | None = None,
        observer: Observer | None = None,
        loading: LoaderSettings | None = None,
    ) -> None:
        require_same_preprocessing(learner.preprocessing, preprocessing)
        require_data(learner.objectives, split)
        require_soft_labels(learner.objectives, split, mixes=augmentation is not None and augmentation.mixes)
        self.learner = learner
        self.plan = plan
        self.split = split
        self.preprocessing = preprocessing
        self.run = run
        self.progress = Progress()
        self._observer = observer or Silence()
        quarantine = run.quarantine if run is not None else None
        self._supply = Supply(
            split,
            preprocessing,
            augmentation,
            plan,
            loading or LoaderSettings(),
            quarantine,
            self._observer.on_note,
            learner.device.pin,
        )
        self._settings = settings_of(learner, plan, self._supply.decoder)
        described = description or {"network": {"name": learner.network.name}, "configuration": self._settings}
        self._snapshots = Snapshots(run, learner, split, described) if run is not None else None
        self._ranks = any(objective.loss.ranks for objective in learner.objectives)
        self._stopping = EarlyStopping(plan.patience, "max" if self._ranks else "min")
        self.curves = CurvePicture(run, self._observer) if run is not None else None
        self._begun = False
        self._skipped_before_update = 0
        self._validation_seconds = 0.0
        classifies = self._ranks and len(learner.objectives) == 1
        self._guessing = Guessing(len(split.train.classes)) if classifies else None
        self._best_state: Mapping[str, np.ndarray[Any, Any]] | None = None
        self._training, self._validation = self._supply.training, self._supply.validation
        self._watch = Watch(learner, plan, split, self._training, run)
        self._heartbeat = Heartbeat(run.heartbeat if run is not None else None)
        learner.prepare(plan.passes(len(split.train)), plan.batch_sizes(len(split.validation)))

    @property
    def updates_per_epoch(self) -> int:
        """The last one may have fewer passes than the others."""
        return self.plan.updates(len(self.split.train))

    def fit(self) -> Iterator[EpochRecord]:
        """Train, and yield a record after each epoch; a run that its patience ends goes back to the best weights.

        Raises:
            TrainingInterrupted: after SIGINT or SIGTERM; a snapshot was written.
            DivergedError: when the loss is no longer finite; checkpoints are as they were.
            UsageError: when the run folder holds another run.
        """
        if self._snapshots is not None and not self._begun:
            self._snapshots.claim()
        self._begun = True
        for name, value in (("step", self.progress.step), ("latched_step", -1), ("apply", 1)):
            self.learner.state.set_control(name, value)
        self.learner.load_sums(self.progress.totals)
        history = self._history()
        if self.curves is not None and not self.progress.finished:
            self.curves.announce()
        with InterruptionGuard(self._announce) as guard, closing(self._supply), self._heartbeat:
            if self.progress.step == 0:
                self._save(is_best=False)
            while not self.progress.finished:
                record, trained = self._epoch(guard), self.progress
                is_best = self._stopping.update(record.epoch, self._merit(record))
                self.progress = Progress(
                    epoch=record.epoch,
                    step=record.step,
                    early_stopping=self._stopping.to_manifest(),
                    finished=record.epoch >= self.plan.epochs or self._stopping.should_stop,
                )
                self.learner.load_sums(self.progress.totals)
                for warning in self._guessing.warnings(record) if self._guessing is not None else ():
                    self._observer.on_note(warning)
                if is_best and self._snapshots is None and self.plan.patience is not None:
                    self._best_state = self.learner.state.export()
                if history is not None and self.curves is not None:
                    history.append(record)
                    self._save(is_best)
                    self.curves.draw(history.records)
                self._observer.on_epoch(record, is_best=is_best)
                self._supply.end_epoch(trained.spent, len(self.split.train) - trained.skipped)
                yield record
                if guard.exit_code is not None and not self.progress.finished:
                    raise TrainingInterrupted(guard.exit_code)
        if self._stopping.should_stop:
            self._observer.on_note(f"the weights are those of epoch {self.restore_best()}, the best")

    def resume(self, *, changed_data: bool = False) -> None:
        """Go on where the latest checkpoint of the run folder was written.

        Args:
            changed_data: go on even though the data set is not the one of the checkpoint.

        Raises:
            UsageError: when the trainer has no run folder.
            CheckpointError: when no checkpoint can be used, or it is of another network or other data; nothing was
                loaded then.
        """
        if self._snapshots is None:
            raise UsageError("a trainer without a run folder has nothing to resume; give it run=RunFolder(path)")
        folder = self._snapshots.folder
        tensors, manifest, note = folder.load_latest()
        if note is not None:
            self._observer.on_note(note)
        data = None if changed_data else self._snapshots.fingerprint
        require_same_run(self.learner, self.split, data, tensors, manifest, folder.folder)
        if "plan" in manifest.configuration:
            require_same_settings(self._settings, manifest)
        self.learner.device.adopt_plan(manifest.thread_plan)
        if dict(self.learner.device.thread_plan()) != manifest.thread_plan:
            self._observer.on_note(
                "the checkpoint was written on another device or with other threads: sums will be rounded differently"
            )
        self.restore(tensors, Progress.from_manifest(manifest.progress))

    def restore(self, tensors: Mapping[str, Any], progress: Progress) -> None:
        """Go back to where a checkpoint was written.

        Args:
            tensors: of this learner's network, names and shapes compared before.
            progress: from the same checkpoint.

        Raises:
            CheckpointError: when it is of another number of objectives; nothing is changed then.
        """
        measured, objectives = len(progress.totals), len(self.learner.objectives)
        if measured not in (0, objectives):
            raise CheckpointError(f"the checkpoint is of {measured} objectives, and this run has {objectives}")
        self.learner.state.load(tensors)
        self.progress = progress
        self._begun = True
        if progress.early_stopping:
            self._stopping = EarlyStopping.from_manifest(progress.early_stopping)
        # The plan may have more epochs than the one that the checkpoint is of.
        progress.finished = progress.epoch >= self.plan.epochs or self._stopping.should_stop

    def restore_best(self) -> int | None:
        """Put the weights of the best epoch back; its number, or None when they were not kept.

        They are kept in the run folder, or in memory by a trainer with patience and no run folder.
        """
        best = self._best_state
        if self._snapshots is not None and self._stopping.best_epoch is not None:
            best, _ = self._snapshots.folder.load_best()
        if best is None:
            return None
        self.learner.state.load(best)
        return self._stopping.best_epoch

    @property
    def best(self) -> tuple[int, float] | None:
        """The best epoch and its validation top-1; its validation loss where nothing ranks classes."""
        if self._stopping.best_epoch is None or self._stopping.best is None:
            return None
        return self._stopping.best_epoch, self._stopping.best

    def _merit(self, record: EpochRecord) -> float:
        """What epochs are compared by."""
        merit = record.validation_top1 if self._ranks else record.validation_loss
        return float("nan") if merit is None else merit

    def _epoch(self, guard: InterruptionGuard) -> EpochRecord:
        """The rest of the running epoch, then validation."""
        progress = self.progress
        reported = 0.0
        try:
            with closing(self._supply.train(progress.epoch, progress.batch)) as batches:
                stopwatch = Stopwatch(progress.spent, self.learner, self._training)
                for batch in batches:
                    self._step(batch)
                    self._heartbeat.beat()
                    progress.spent = stopwatch.read()
                    if progress.batch % self.plan.accumulate and progress.batch < self._training.steps_per_epoch:
                        continue
                    self._after_update(guard)
                    if time.monotonic() - reported > REPORT_SECONDS:
                        reported = time.monotonic()
                        self._report()
            if progress.skipped == len(self.split.train):
                raise DataError("not one of the training images can be read")
            self._watch.look(progress)
            self._report()
            trained = time.monotonic()
            progress.spent = stopwatch.read()
            validation = self._validate(guard)
        except DataError as error:
            raise self._after_snapshot(error) from error
        self._validation_seconds = time.monotonic() - trained
        return self._record(validation)

    def _record(self, validation: Totals) -> EpochRecord:
        progress, spent, totals = self.progress, self.progress.spent, self.learner.totals()
        return EpochRecord(
            epoch=progress.epoch + 1,
            step=progress.step,
            train_loss=totals.mean_loss,
            train_top1=totals.top1_rate,
            validation_loss=validation.mean_loss,
            validation_top1=validation.top1_rate if self._ranks else None,
            validation_top5=validation.top5_rate if self._ranks else None,
            learning_rate=self._learning_rate(progress.step - 1),
            images_per_second=totals.images / spent.seconds,
            seconds=spent.seconds + self._validation_seconds,
            data_wait_fraction=spent.wait_fraction,
            decode_fractions=spent.decode_fractions,
            copy_fraction=spent.copy_fraction,
            compute_fraction=spent.compute_fraction,
            skipped_images=progress.skipped + len(self.split.validation) - int(validation.images),
        )

    def _validate(self, guard: InterruptionGuard) -> Totals:
        """Loss and hits on the validation images; a signal ends it between two batches."""
        try:
            with closing(self._supply.validate()) as batches:
                totals = self.learner.evaluate(takewhile(lambda _: self._goes_on(guard), batches))
        except DivergedError as error:
            raise self._watch.error(
                f"after step {self.progress.step}, {error}", self.progress, self._validation.batches(0)
            ) from None
        self._leave_if_asked(guard)
        return totals

    def _goes_on(self, guard: InterruptionGuard) -> bool:
        self._heartbeat.beat()
        return guard.exit_code is None

    def _learning_rate(self, step: int) -> float:
        return self.plan.schedule.learning_rate(step, self.updates_per_epoch)

    def _step(self, batch: Batch) -> None:
        """One batch, and the update when it is the last of its group."""
        progress = self.progress
        position = progress.batch % self.plan.accumulate
        start = (progress.batch - position) * self.plan.batch_size
        images = min(self.plan.accumulate * self.plan.batch_size, len(self.split.train) - start)
        if position == 0 and self.plan.accumulate > 1 and self.run is not None:
            self.learner.state.keep_totals()
            self._skipped_before_update = progress.skipped
        self.learner.learn(batch, first=position * self.plan.batch_size, images=images)
        progress.batch += 1
        progress.skipped += len(batch.skipped)
        if progress.batch % self.plan.accumulate == 0 or progress.batch == self._training.steps_per_epoch:
            self.learner.update(self._learning_rate(progress.step))
            progress.step += 1

    def _after_update(self, guard: InterruptionGuard) -> None:
        """A look at the device and a snapshot when it is time for one, or when a signal asks for the end."""
        if self._watch.is_due:
            self._watch.look(self.progress)
        self._leave_if_asked(guard)
        if self._snapshots is not None and self._snapshots.age > self.plan.checkpoint_seconds:
            self._save_within_epoch()

    def _leave_if_asked(self, guard: InterruptionGuard) -> None:
        exit_code = guard.exit_code
        if exit_code is not None:
            self._save_within_epoch()
            raise TrainingInterrupted(exit_code)

    def _after_snapshot(self, error: DataError) -> DataError:
        """What to raise in place of an error that ends the epoch, once the last whole update was saved."""
        if self.run is None:
            return error
        progress = self.progress
        passes = progress.batch % self.plan.accumulate
        if passes and progress.batch < self._training.steps_per_epoch:
            progress.batch -= passes
            progress.skipped = self._skipped_before_update
            self.learner.state.restore_totals()
        try:
            self._save_within_epoch()
        except GpunnError as failure:
            return DataError(f"{error}; no snapshot could be written: {failure}")
        return DataError(f"{error}. A snapshot was written at step {progress.step}; {how_to_go_on(self.run)}")

    def _save_within_epoch(self) -> None:
        self._watch.look(self.progress)
        self.progress.totals = self.learner.sums()
        self._save(is_best=False)

    def _save(self, is_best: bool) -> None:
        if self._snapshots is None:
            return
        state = self.learner.state.export()
        broken = [name for name, values in state.items() if not np.isfinite(values).all()]
        if broken:
            first = islice(self._validation.batches(0), 1)
            raise self._watch.error(
                f"after step {self.progress.step}, {broken[0]} holds numbers that are not finite", self.progress, first
            )
        self.progress.early_stopping = self._stopping.to_manifest()
        self._snapshots.save(state, self.progress, is_best=is_best)

    def _history(self) -> History | None:
        if self.run is None:
            return None
        return History(self.run.metrics_lines, self.run.metrics_table, epochs_done=self.progress.epoch)

    def _announce(self, text: str) -> None:
        # The signal may have come in the middle of a print, which cannot be entered twice.
        with suppress(RuntimeError):
            self._observer.on_note(text)

    def _report(self) -> None:
        totals, images = self.learner.totals(), len(self.split.train)
        self._observer.on_step(StepReport.of(self.plan, self.progress, totals, images, self._validation_seconds))
