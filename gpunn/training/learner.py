"""A network with its state and its programs: it takes batches, and learns, evaluates or predicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from gpunn.data.loader import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DivergedError
from gpunn.graph import Node
from gpunn.losses import Loss, Objective, SoftmaxCrossEntropy
from gpunn.network import Network
from gpunn.optimizers import Optimizer
from gpunn.precision import Precision
from gpunn.program.program import Program, ProgramPlan, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification


@dataclass(frozen=True)
class Totals:
    """Sums over images.

    Attributes:
        loss: of the first objective, unweighted by anything but its weight.
        top1: images whose class scored highest.
        top5: images whose class was among the five highest.
        images: how many.
    """

    loss: float
    top1: float
    top5: float
    images: float

    @property
    def mean_loss(self) -> float:
        """Per image."""
        return self.loss / self.images if self.images else float("nan")

    @property
    def top1_rate(self) -> float:
        """0 to 1."""
        return self.top1 / self.images if self.images else float("nan")

    @property
    def top5_rate(self) -> float:
        """0 to 1."""
        return self.top5 / self.images if self.images else float("nan")


@dataclass(frozen=True)
class Rule:
    """How a learner learns.

    Attributes:
        optimizer: the update.
        smoothing: of the labels, in training only.
        reduction: "mean" or "sum" over the images of an update.
        clip_norm: the largest gradient norm.
        l1: strength of an L1 penalty.
        seed: of weights and dropout masks.
        objectives: what is minimised; None takes softmax and cross-entropy of every output.
    """

    optimizer: Optimizer
    smoothing: float = 0.0
    reduction: str = "mean"
    clip_norm: float | None = None
    l1: float = 0.0
    seed: int = 0
    objectives: tuple[Objective, ...] | None = None


class Learner:
    """Programs for every batch size that a run meets, and the state they share.

    Args:
        network: what to train or evaluate.
        device: where.
        precision: in which number types.
        preprocessing: gives the mean and deviation that images are normalised with.
        rule: how to learn; None for a learner that only evaluates and predicts.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        precision: Precision,
        preprocessing: Preprocessing,
        rule: Rule | None = None,
    ) -> None:
        self.network = network
        self.device = device
        self.rule = rule
        self._precision = precision
        self._pictures = (preprocessing.height, preprocessing.width)
        self.state = NetworkState(network, device, precision, rule.optimizer if rule else None, self._objective_count())
        self.state.set_constant("image_mean", np.array(preprocessing.mean, np.float64))
        self.state.set_constant("image_deviation", np.array(preprocessing.std, np.float64))
        self._programs: dict[tuple[str, int, bool], Program] = {}
        self._update = Update(self.state, self._update_specification(rule)) if rule else None
        if rule is not None:
            self.state.initialize(rule.seed)

    def prepare(self, training: Iterable[tuple[int, bool]], evaluation: Iterable[int]) -> None:
        """Build the programs for these batch sizes, all in one piece of memory.

        Args:
            training: batch sizes, and whether the pass adds to the gradients of the one before.
            evaluation: batch sizes.
        """
        keys = [("train", batch, more) for batch, more in dict.fromkeys(training)]
        keys += [("evaluate", batch, False) for batch in dict.fromkeys(evaluation)]
        plans = [self.plan(*key) for key in keys]
        self._programs.update(zip(keys, share_memory(plans, self.state), strict=True))

    def plan(self, mode: str, batch: int, accumulate: bool) -> ProgramPlan:
        """The plan of one program: "train", "evaluate", or "predict", which measures no loss."""
        training = mode == "train"
        specification = Specification(
            batch=batch,
            mode="train" if training else "evaluate",
            precision=self._precision,
            objectives=() if mode == "predict" else self._objectives(training),
            seed=self.rule.seed if self.rule else 0,
            pictures=self._pictures,
            accumulate_gradients=accumulate,
        )
        return plan_program(self.network, self.device, specification)

    def learn(self, batch: Batch, *, first: int, images: int) -> None:
        """One pass forward and backward.

        Args:
            batch: the images and labels.
            first: how many images of this update came before.
            images: how many the update has in all.
        """
        if first == 0:
            scale = 1.0 / images if self.rule is not None and self.rule.reduction == "mean" else 1.0
            self.state.set_control("loss_scale", scale)
            self.state.set_control("apply", 1)
        self.state.set_control("first_image", first)
        self._run("train", batch, accumulate=first > 0)

    def update(self, learning_rate: float) -> None:
        """Change the weights by the gradients that `learn` has left."""
        if self._update is None:
            raise ValueError("this learner has no rule: it evaluates and predicts only")
        self.state.set_control("learning_rate", learning_rate)
        self._update.run()

    def evaluate(self, batches: Iterable[Batch]) -> Totals:
        """Loss and hits over some batches, in evaluation mode.

        The totals of training stay as they are, and so does a step that is void already.

        Raises:
            DivergedError: when the loss of an image is not finite.
        """
        kept = self.state.read_totals()
        controls = {name: self.state.read_control(name) for name in ("apply", "latched_step")}
        self.state.set_control("apply", 1)
        self.state.write_totals(np.zeros_like(kept))
        try:
            for batch in batches:
                self._run("evaluate", batch, accumulate=False)
            found = Totals(*self.state.read_totals().tolist())
            if not self.state.read_control("apply"):
                raise DivergedError("the loss of the images it is measured on is not a finite number")
        finally:
            self.state.write_totals(kept)
            for name, value in controls.items():
                self.state.set_control(name, value)
        return found

    def predict(self, batch: Batch) -> np.ndarray[Any, Any]:
        """Class probabilities of each image, float64 (N, classes).

        Raises:
            DivergedError: when a score is not finite.
        """
        program = self._run("predict", batch, accumulate=False)
        scores = program.read_output(self.network.outputs[0]).astype(np.float64)
        if not np.isfinite(scores).all():
            raise DivergedError("the scores of an image are not finite numbers: these weights cannot predict")
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: np.ndarray[Any, Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def inspect(self, batch: Batch) -> list[tuple[str, np.ndarray[Any, Any]]]:
        """Every node's label and output, computed in evaluation mode with nothing overwritten."""
        specification = Specification(
            batch=len(batch),
            mode="evaluate",
            precision=self._precision,
            pictures=self._pictures,
            keep=self.network.nodes,
        )
        program = share_memory([plan_program(self.network, self.device, specification)], self.state)[0]
        self._feed(program, batch)
        held = {placement.buffer.name for placement in program.plan.memory.placements}
        outputs: dict[Node, np.ndarray[Any, Any]] = {}
        for node in self.network.nodes:
            passes_through = self.network.labels[node] not in held
            outputs[node] = outputs[node.inputs[0]] if passes_through else program.read_output(node)
        return [(self.network.labels[node], values) for node, values in outputs.items()]

    def _run(self, mode: str, batch: Batch, *, accumulate: bool) -> Program:
        key = (mode, len(batch), accumulate)
        if key not in self._programs:
            self._programs[key] = share_memory([self.plan(*key)], self.state)[0]
        program = self._programs[key]
        self._feed(program, batch)
        return program

    @staticmethod
    def _feed(program: Program, batch: Batch) -> None:
        for buffer in program.inputs:
            program.write(buffer.name, getattr(batch, buffer.name))
        program.run()

    def _objective_count(self) -> int:
        return len(self._objectives(training=True))

    def _objectives(self, training: bool) -> tuple[Objective, ...]:
        if self.rule is not None and self.rule.objectives is not None:
            return self.rule.objectives
        smoothing = self.rule.smoothing if self.rule is not None and training else 0.0
        loss: Loss = SoftmaxCrossEntropy(smoothing)
        return tuple(Objective(output, loss) for output in self.network.outputs)

    @staticmethod
    def _update_specification(rule: Rule) -> UpdateSpecification:
        penalties = (Penalty(1.0, rule.l1),) if rule.l1 else ()
        return UpdateSpecification(rule.optimizer, penalties, rule.clip_norm)
