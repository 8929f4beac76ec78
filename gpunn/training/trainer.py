"""Mini-batch gradient descent over epochs: order, schedule, validation, checkpoints, early stopping, interruption."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, log
from typing import Any

import numpy as np

from gpunn.data.augmentation import Augmentation
from gpunn.data.dataset import Split
from gpunn.data.loader import Batch, Loader
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DivergedError
from gpunn.schedules import Schedule
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.curves import draw_curves
from gpunn.training.divergence import report_divergence
from gpunn.training.early_stopping import EarlyStopping
from gpunn.training.history import EpochRecord, History
from gpunn.training.interruption import InterruptionGuard
from gpunn.training.learner import Learner, Totals
from gpunn.training.manifest import Manifest
from gpunn.training.observer import Observer, Silence, StepReport
from gpunn.training.progress import Progress
from gpunn.training.run_folder import RunFolder

#: Seconds between two reports of progress.
REPORT_SECONDS = 0.2
#: The samples of so many updates are remembered, to name those of a step that diverged.
REMEMBERED_UPDATES = 16
#: A loss this near to ln(classes), relatively, after a whole epoch, has learned nothing.
STUCK_TOLERANCE = 0.005


class TrainingInterrupted(Exception):  # noqa: N818 - an orderly end that was asked for, not an error
    """A signal ended the run after a snapshot was written; `exit_code` is 130 or 143."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"interrupted, exit status {exit_code}")
        self.exit_code = exit_code


@dataclass(frozen=True)
class Plan:
    """What a trainer does, besides how its learner learns.

    Attributes:
        epochs: passes over the training images.
        batch_size: images in one pass through the network.
        accumulate: passes to one update.
        schedule: the learning rate of every step.
        seed: of order and augmentation.
        patience: epochs without improvement that end the run; None never does.
        workers: threads that load images; None chooses.
        checkpoint_seconds: the longest time between two checkpoints.
    """

    epochs: int
    batch_size: int
    schedule: Schedule
    accumulate: int = 1
    seed: int = 0
    patience: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 600.0


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
    ) -> None:
        self.learner = learner
        self.plan = plan
        self.split = split
        self.preprocessing = preprocessing
        self.run = run
        self.progress = Progress()
        self._observer = observer or Silence()
        self._description = description or {"network": {"name": learner.network.name}, "configuration": {}}
        self._fingerprint = fingerprint(split) if run is not None else ""
        self._checkpoints = CheckpointFolder(run.checkpoints) if run is not None else None
        self._stopping = EarlyStopping(plan.patience, "max")
        self._updates: deque[tuple[int, list[int]]] = deque(maxlen=REMEMBERED_UPDATES)
        self._saved_at = time.monotonic()
        self._validation_seconds = 0.0
        self._training = Loader(
            split.train,
            preprocessing,
            batch_size=plan.batch_size,
            seed=plan.seed,
            augmentation=augmentation,
            shuffle=True,
            workers=plan.workers,
        )
        self._validation = Loader(
            split.validation, preprocessing, batch_size=plan.batch_size, seed=plan.seed, workers=plan.workers
        )
        self._prepare()

    @property
    def updates_per_epoch(self) -> int:
        """The last one may have fewer passes than the others."""
        return -(-self._training.steps_per_epoch // self.plan.accumulate)

    def fit(self) -> Iterator[EpochRecord]:
        """Train, and yield a record after each epoch.

        Raises:
            TrainingInterrupted: after SIGINT or SIGTERM; a snapshot was written.
            DivergedError: when the loss is no longer finite; checkpoints are as they were.
        """
        history = self._history()
        with InterruptionGuard(self._observer.on_note) as guard:
            if self._checkpoints is not None and self.progress.step == 0:
                self._save(is_best=False)
            while not self.progress.finished:
                record = self._epoch(guard)
                is_best = self._stopping.update(record.epoch, record.validation_top1 or 0.0)
                self.progress = Progress(
                    epoch=record.epoch,
                    step=record.step,
                    early_stopping=self._stopping.to_manifest(),
                    finished=record.epoch >= self.plan.epochs or self._stopping.should_stop,
                )
                self.learner.state.write_totals(np.array(self.progress.totals))
                self._warn_if_stuck(record)
                if history is not None and self.run is not None:
                    history.append(record)
                    draw_curves(history.records, self.run.curves, self.run.path.name)
                    self._save(is_best)
                self._observer.on_epoch(record, is_best=is_best)
                yield record
                if guard.exit_code is not None and not self.progress.finished:
                    raise TrainingInterrupted(guard.exit_code)

    def restore(self, tensors: Mapping[str, Any], progress: Progress) -> None:
        """Go back to where a checkpoint was written.

        Args:
            tensors: of this learner's network, names and shapes compared before.
            progress: from the same checkpoint.
        """
        state = self.learner.state
        state.load(tensors)
        state.set_control("step", progress.step)
        state.write_totals(np.array(progress.totals))
        self.progress = progress
        if progress.early_stopping:
            self._stopping = EarlyStopping.from_manifest(progress.early_stopping)

    def restore_best(self) -> int | None:
        """Put the weights of the best epoch back; its number, or None when there is no run folder."""
        if self._checkpoints is None or self._stopping.best_epoch is None:
            return None
        tensors, _ = self._checkpoints.load_best()
        self.learner.state.load(tensors)
        return self._stopping.best_epoch

    @property
    def best(self) -> tuple[int, float] | None:
        """The best epoch and its validation top-1."""
        if self._stopping.best_epoch is None or self._stopping.best is None:
            return None
        return self._stopping.best_epoch, self._stopping.best

    def _prepare(self) -> None:
        """Build the programs for every batch size that an epoch meets, before the first step."""
        full, last = self._sizes(len(self.split.train))
        position = (self._training.steps_per_epoch - 1) % self.plan.accumulate
        training = [(full, False), (last, position > 0)]
        if self.plan.accumulate > 1 and self._training.steps_per_epoch > 1:
            training.append((full, True))
        self.learner.prepare(training, self._sizes(len(self.split.validation)))

    def _sizes(self, images: int) -> tuple[int, int]:
        """Full batch and last batch of an epoch."""
        full = min(self.plan.batch_size, images)
        return full, images % full or full

    def _epoch(self, guard: InterruptionGuard) -> EpochRecord:
        """The rest of the running epoch, then validation."""
        progress = self.progress
        begun = time.monotonic() - progress.seconds
        waited_before = progress.waited
        reported = 0.0
        rate = 0.0
        batches = self._training.batches(progress.epoch, start=progress.batch)
        try:
            for batch in batches:
                rate = self._step(batch)
                progress.seconds = time.monotonic() - begun
                progress.waited = waited_before + self._training.waited_seconds
                if progress.batch % self.plan.accumulate and progress.batch < self._training.steps_per_epoch:
                    continue
                self._after_update(guard)
                if time.monotonic() - reported > REPORT_SECONDS:
                    reported = time.monotonic()
                    self._report()
        finally:
            batches.close()
        self._report()
        trained = time.monotonic()
        training_seconds = trained - begun
        totals = Totals(*self.learner.state.read_totals().tolist())
        validation = self.learner.evaluate(self._validation.batches(0))
        self._validation_seconds = time.monotonic() - trained
        return EpochRecord(
            epoch=progress.epoch + 1,
            step=progress.step,
            train_loss=totals.mean_loss,
            train_top1=totals.top1_rate,
            validation_loss=validation.mean_loss,
            validation_top1=validation.top1_rate,
            validation_top5=validation.top5_rate,
            learning_rate=rate,
            images_per_second=totals.images / training_seconds,
            seconds=time.monotonic() - begun,
            data_wait_fraction=min(1.0, progress.waited / training_seconds),
        )

    def _step(self, batch: Batch) -> float:
        """One batch, and the update when it is the last of its group; gives the learning rate."""
        progress = self.progress
        position = progress.batch % self.plan.accumulate
        start = (progress.batch - position) * self.plan.batch_size
        images = min(self.plan.accumulate * self.plan.batch_size, len(self.split.train) - start)
        if position == 0:
            self._updates.append((progress.step, []))
        self._updates[-1][1].extend(batch.indices.tolist())
        self.learner.learn(batch, first=position * self.plan.batch_size, images=images)
        progress.batch += 1
        rate: float = self.plan.schedule.learning_rate(progress.step, self.updates_per_epoch)
        if progress.batch % self.plan.accumulate == 0 or progress.batch == self._training.steps_per_epoch:
            self.learner.update(rate)
            self._stop_if_diverged(batch)
            progress.step += 1
        return rate

    def _after_update(self, guard: InterruptionGuard) -> None:
        """A snapshot when it is time for one, or when a signal asks for the end."""
        due = time.monotonic() - self._saved_at > self.plan.checkpoint_seconds
        if self._checkpoints is not None and (due or guard.requested is not None):
            self.progress.totals = self.learner.state.read_totals().tolist()
            self._save(is_best=False)
        if guard.exit_code is not None:
            raise TrainingInterrupted(guard.exit_code)

    def _save(self, is_best: bool) -> None:
        if self._checkpoints is None:
            return
        self.progress.early_stopping = self._stopping.to_manifest()
        manifest = Manifest(
            network=self._description["network"],
            configuration=self._description["configuration"],
            classes=list(self.split.train.classes),
            preprocessing=self.preprocessing.to_manifest(),
            thread_plan=dict(self.learner.device.thread_plan()),
            progress=self.progress.to_manifest(),
            data_fingerprint=self._fingerprint,
        )
        self._checkpoints.save(self.learner.state.export(), manifest, is_best=is_best)
        self._saved_at = time.monotonic()

    def _history(self) -> History | None:
        if self.run is None:
            return None
        return History(self.run.metrics_lines, self.run.metrics_table, epochs_done=self.progress.epoch)

    def _stop_if_diverged(self, batch: Batch) -> None:
        step = int(self.learner.state.read_control("latched_step"))
        if step < 0:
            return
        samples = next((indices for number, indices in self._updates if number == step), [])
        names = [self.split.train.name(index) for index in samples]
        where = report_divergence(self.learner, batch, step, names, self.run)
        raise DivergedError(
            f"the loss of step {step + 1} is not a finite number; that update was not applied and the checkpoints "
            f"are untouched{where}. Train with a lower learning rate, or with --set clip_norm=1"
        )

    def _report(self) -> None:
        progress = self.progress
        totals = Totals(*self.learner.state.read_totals().tolist())
        size = len(self.split.train)
        speed = totals.images / progress.seconds if progress.seconds else 0.0
        images_left = size - totals.images + (self.plan.epochs - progress.epoch - 1) * size
        validations = (self.plan.epochs - progress.epoch) * self._validation_seconds
        self._observer.on_step(
            StepReport(
                epoch=progress.epoch + 1,
                epochs=self.plan.epochs,
                images_done=int(totals.images),
                images=size,
                loss=totals.mean_loss,
                top1=totals.top1_rate,
                images_per_second=speed,
                seconds_left=images_left / speed + validations if speed else float("nan"),
            )
        )

    def _warn_if_stuck(self, record: EpochRecord) -> None:
        classes = len(self.split.train.classes)
        chance = log(classes)
        if isfinite(record.train_loss) and abs(record.train_loss - chance) < STUCK_TOLERANCE * chance:
            self._observer.on_note(
                f"the loss sits at {record.train_loss:.3f} = ln({classes}): the network guesses. "
                "Try a learning rate ten times lower or higher, or a longer warm-up"
            )


def fingerprint(split: Split) -> str:
    """What both halves of the data are recognised by on resume."""
    return f"{split.train.fingerprint()}:{split.validation.fingerprint()}"
