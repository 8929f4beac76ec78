"""A network with its state and its programs: it takes batches, and learns, evaluates or predicts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DivergedError, UsageError
from gpunn.layers import Softmax
from gpunn.network import Network
from gpunn.precision import Precision
from gpunn.program.controls import TOTALS
from gpunn.program.program import Program, ProgramPlan, plan_program, share_memory
from gpunn.program.specification import Mode, Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update
from gpunn.training.agreement import require_same_image, require_target_names
from gpunn.training.feeding import feed
from gpunn.training.objectives import measured_objectives, trained_objectives
from gpunn.training.programs import ProgramKey, Programs
from gpunn.training.rule import Rule
from gpunn.training.totals import Totals

HostArray = np.ndarray[Any, Any]


class Learner:
    """Programs for every batch size that a run meets, and the state they share.

    Args:
        network: what to train or evaluate.
        device: where.
        precision: in which number types.
        preprocessing: gives the mean and deviation that images are normalised with.
        rule: how to learn; None for a learner that only evaluates and predicts.

    Attributes:
        feeding_seconds: how long the host has been giving batches to the device, since the learner was made.

    Raises:
        UsageError: when the network takes other images than the preprocessing makes, or an objective takes values
            for class labels.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        precision: Precision,
        preprocessing: Preprocessing,
        rule: Rule | None = None,
    ) -> None:
        require_same_image(network, preprocessing)
        self.network = network
        self.device = device
        self.rule = rule
        self.preprocessing = preprocessing
        self.objectives = trained_objectives(network, rule)
        require_target_names(self.objectives)
        self._precision = precision
        self._pictures = (preprocessing.height, preprocessing.width)
        self.state = NetworkState(network, device, precision, rule.optimizer if rule else None, len(self.objectives))
        self.state.set_constant("image_mean", np.array(preprocessing.mean, np.float64))
        self.state.set_constant("image_deviation", np.array(preprocessing.std, np.float64))
        self._programs = Programs(self._plan, self.state)
        self.feeding_seconds = 0.0
        self._update = Update(self.state, rule.update) if rule else None
        if rule is not None:
            self.state.initialize(rule.seed)

    def prepare(self, training: Iterable[tuple[int, bool]], evaluation: Iterable[int]) -> None:
        """Build the programs for these batch sizes, all in one piece of memory.

        Args:
            training: batch sizes, and whether the pass adds to the gradients of the one before.
            evaluation: batch sizes.

        Raises:
            MemoryExhaustedError: when they do not fit; the text names the largest batch that does.
        """
        self._programs.prepare(
            [
                *(ProgramKey("train", batch, more) for batch, more in training),
                *(ProgramKey("evaluate", batch) for batch in evaluation),
            ]
        )

    def learn(self, batch: Batch, *, first: int, images: int) -> None:
        """One pass forward and backward.

        A batch that lacks pictures, or has none, counts as if their gradients were zero: the update divides by `images`
        all the same.

        Args:
            batch: the images, labels and targets.
            first: how many images of this update came before.
            images: how many the update was planned to have in all.

        Raises:
            UsageError: when the batch lacks a target or an array has another shape.
            DataError: when a label is none of the classes.
        """
        if first == 0:
            scale = 1.0 / images if self.rule is not None and self.rule.reduction == "mean" else 1.0
            self.state.set_control("loss_share" if self._precision.scales_loss else "loss_scale", scale)
        if len(batch):
            self.state.set_control("first_image", first)
            self._run(ProgramKey("train", len(batch), adds=first > 0), batch)
        elif first == 0 and self.state.gradients is not None:
            gradients = self.state.gradients.whole
            self.device.upload(gradients, np.zeros(gradients.shape, gradients.dtype))

    def update(self, learning_rate: float) -> None:
        """Change the weights by the gradients that `learn` has left.

        Raises:
            UsageError: when the learner has no rule.
        """
        if self._update is None:
            raise UsageError("a learner without a rule evaluates and predicts only; give it rule=Rule(optimizer)")
        self.state.set_control("learning_rate", learning_rate)
        self._update.run()

    def evaluate(self, batches: Iterable[Batch]) -> Totals:
        """Loss and hits over some batches, in evaluation mode.

        The totals of training stay as they are, and so does a step that is void already.

        Raises:
            DivergedError: when the loss of an image is not finite.
        """
        with self._undisturbed():
            self.load_sums([])
            self.state.set_control("apply", 1)
            for batch in batches:
                self._run(ProgramKey("evaluate", len(batch)), batch)
            if not self.state.read_control("apply"):
                raise DivergedError("the loss of the images it is measured on is not a finite number")
            return self.totals()

    def totals(self) -> Totals:
        """What has come of the images learnt from since the sums were last set; this waits for the device."""
        return Totals.of(self.objectives, self.sums())

    def sums(self) -> list[list[float]]:
        """For each objective: loss without its weight, top-1 hits, top-5 hits, images."""
        return [self.state.read_totals(position).tolist() for position in range(len(self.objectives))]

    def load_sums(self, sums: Sequence[Sequence[float]]) -> None:
        """Set those sums, to zero where none are given."""
        for position in range(len(self.objectives)):
            self.state.write_totals(np.array(sums[position] if sums else (0.0,) * TOTALS), position)

    def penalty(self) -> float:
        """What the penalties add to the loss of an update with the weights of now; the totals do not hold it."""
        size = self.device.size_of((1,), np.dtype(np.float64), "plain")
        value = self.device.view(self.device.allocate(size), 0, (1,), np.dtype(np.float64), "plain")
        parameters, segments = self.state.parameters.whole, self.state.tables.penalised
        added = 0.0
        for penalty in self.rule.penalties if self.rule is not None else ():
            self.device.primitives.penalty_value(self.device, value, parameters, segments, penalty)
            added += self.device.download(value)[0].item()
        return added

    def outputs(self, batch: Batch, pictures: tuple[int, int] | None = None) -> tuple[HostArray, ...]:
        """What the network computes, float64 (N, ...), for each of its outputs.

        Args:
            batch: the images.
            pictures: their height and width, where they are larger than the network's input; `batch.placement` says
                which part of each is looked at.

        Raises:
            DivergedError: when a number is not finite.
        """
        program = self._run(ProgramKey("predict", len(batch), pictures=pictures), batch)
        computed = tuple(program.read_output(output).astype(np.float64) for output in self.network.outputs)
        if not all(np.isfinite(values).all() for values in computed):
            raise DivergedError("the scores of an image are not finite numbers: these weights cannot predict")
        return computed

    def predict(self, batch: Batch, pictures: tuple[int, int] | None = None) -> HostArray:
        """Class probabilities of each image, float64 (N, classes); the arguments are those of `outputs`.

        They are the first output of a network where that is a Softmax already, else softmax of it.

        Raises:
            DivergedError: when a score is not finite.
        """
        scores = self.outputs(batch, pictures)[0]
        if isinstance(self.network.outputs[0].layer, Softmax):
            return scores
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: HostArray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def losses(self, batch: Batch, mode: Mode = "evaluate", *, first: int = 0) -> HostArray:
        """The loss of every image by every objective, (objectives, N), without its weight.

        Args:
            batch: the images, labels and targets.
            mode: "train" computes what `learn` would, and leaves gradients of this batch; nothing else changes.
            first: how many images of the update came before.
        """
        with self._undisturbed():
            self.state.set_control("first_image", first)
            program = self._run(ProgramKey(mode, len(batch), adds=mode == "train" and first > 0), batch)
            return np.stack([program.read(f"loss{number + 1}") for number in range(len(self.objectives))])

    def inspect(self, batch: Batch, mode: Mode = "evaluate", *, first: int = 0) -> list[tuple[str, HostArray]]:
        """Every node's label and output, with nothing overwritten.

        Args:
            batch: the images.
            mode: "train" has the batch statistics and the dropout masks of the step to come.
            first: how many images of that step came before, for the masks.
        """
        specification = Specification(
            batch=len(batch),
            mode=mode,
            precision=self._precision,
            seed=self.rule.seed if self.rule else 0,
            pictures=self._pictures,
            accumulate_gradients=mode == "train",
            keep=self.network.nodes,
        )
        program = share_memory([plan_program(self.network, self.device, specification)], self.state)[0]
        with self._undisturbed():
            self.state.set_control("first_image", first)
            feed(program, batch)
            program.run()
        return [(self.network.labels[node], program.read_output(node)) for node in self.network.nodes]

    def _plan(self, key: ProgramKey) -> ProgramPlan:
        measured = measured_objectives(self.network, self.rule)
        asked = {"train": self.objectives, "evaluate": measured, "predict": ()}
        specification = Specification(
            batch=key.images,
            mode="train" if key.mode == "train" else "evaluate",
            precision=self._precision,
            objectives=asked[key.mode],
            seed=self.rule.seed if self.rule else 0,
            pictures=key.pictures or self._pictures,
            accumulate_gradients=key.adds,
        )
        return plan_program(self.network, self.device, specification)

    def _run(self, key: ProgramKey, batch: Batch) -> Program:
        program = self._programs[key]
        begun = time.perf_counter()
        feed(program, batch)
        self.feeding_seconds += time.perf_counter() - begun
        program.run()
        return program

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Sums, controls and proposed statistics are put back at the end: they belong to the update in work."""
        sums = self.sums()
        controls = {name: self.state.read_control(name) for name in ("apply", "latched_step", "first_image")}
        proposed = self.state.pending.export() if self.state.pending is not None else {}
        try:
            yield
        finally:
            self.load_sums(sums)
            for name, value in controls.items():
                self.state.set_control(name, value)
            if self.state.pending is not None:
                self.state.pending.load(proposed)
