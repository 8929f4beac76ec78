"""A training step and a forward pass of a network on one device, whole and call by call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gpunn.backend.contract import Device
from gpunn.optimizers.by_name import optimizer
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.cost import Cost, cost_of
from gpunn.program.program import Binding, Program, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from gpunn.timing.contestant import SEED, Task
from gpunn.training.objectives import trained_objectives

INPUT, LOSS, OPTIMIZER = "input", "loss", "optimizer"

#: So small that the weights stay what they are: a step that diverges is void, and a void one is shorter.
LEARNING_RATE = 1e-9
#: What pictures are normalised with.
MEAN, DEVIATION = 0.5, 0.25

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Piece:
    """A part of a training step that is timed by itself.

    Attributes:
        row: the layer it counts for, or INPUT, LOSS, OPTIMIZER.
        run: carries it out.
        cost: what it cannot do without.
    """

    row: str
    direction: Direction
    run: Callable[[], None]
    cost: Cost


class NetworkStep:
    """The network of a task with its recipe's optimiser, and pictures in the host's memory.

    Attributes:
        network: what is computed.
        state: weights, and what is kept with them.
        pieces: of a training step, in order.
    """

    def __init__(self, task: Task, device: Device) -> None:
        self.network = task.network()
        self._device = device
        self._batch = task.batch
        number_types = precision(task.precision)
        recipe = task.model.recipe
        rule = optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum)
        objectives = trained_objectives(self.network, None)
        self._objectives = objectives
        self.state = NetworkState(self.network, device, number_types, rule, len(objectives))
        self.state.initialize(SEED)
        self._set_constants()
        rows, columns, _ = task.image
        specification = Specification(task.batch, "train", number_types, objectives, pictures=(rows, columns))
        forward = Specification(task.batch, "evaluate", number_types, pictures=(rows, columns))
        evaluation = replace(forward, objectives=objectives)
        plans = [plan_program(self.network, device, asked) for asked in (specification, forward, evaluation)]
        self._training, self._inference, self._evaluation = share_memory(plans, self.state)
        self._update = Update(self.state, UpdateSpecification(rule, clip_norm=recipe.clip_norm))
        labels = task.labels()
        self._given: dict[str, np.ndarray[Any, Any]] = {
            "images": task.pictures(),
            "placement": np.zeros((task.batch, 3), np.int32),
            **{objective.target: labels for objective in objectives},
        }
        self._unpin = device.pin(self._given["images"])
        self.pieces = self._pieces()

    def train(self) -> None:
        """One step."""
        self._feed(self._training)
        self._training.run()
        self._begin_update()
        self._update.run()

    def infer(self) -> None:
        """One forward pass."""
        self._feed(self._inference)
        self._inference.run()

    def loss(self) -> float:
        """Mean loss of the pictures with the weights as they are, in evaluation mode; this waits for the device."""
        self._feed(self._evaluation)
        self._evaluation.run()
        return sum(
            objective.weight * float(self._evaluation.read(f"loss{number}").mean())
            for number, objective in enumerate(self._objectives, 1)
        )

    def is_void(self) -> bool:
        """Whether a step was not finite, after which updates change nothing; this waits for the device."""
        return self.state.read_control("latched_step") != -1

    def close(self) -> None:
        """Let go of the host's memory."""
        self._unpin()

    def _set_constants(self) -> None:
        share = 1 / self._batch
        # A small multiplier overflows nothing, so that no step is void.
        for name, value in (("loss_scale", share), ("loss_share", share), ("loss_multiplier", 1.0)):
            self.state.set_control(name, value)
        channels = self.network.image.shape[-1]
        for name, value in (("image_mean", MEAN), ("image_deviation", DEVIATION)):
            self.state.set_constant(name, np.full(channels, value))

    def _feed(self, program: Program) -> None:
        for buffer in program.inputs:
            program.write(buffer.name, self._given[buffer.name])
        self.state.set_control("first_image", 0)

    def _begin_update(self) -> None:
        self.state.set_control("learning_rate", LEARNING_RATE)

    def _pieces(self) -> tuple[Piece, ...]:
        fed = sum(self._given[buffer.name].nbytes for buffer in self._training.inputs)
        updating = Binding(self.state, {}, None)
        return (
            Piece(INPUT, "forward", lambda: self._feed(self._training), Cost(0, fed)),
            *(self._piece(call, self._training.binding) for call in self._training.plan.calls),
            Piece(OPTIMIZER, "backward", self._begin_update, Cost(0, 0)),
            *(self._piece(call, updating) for call in self._update.calls),
        )

    def _piece(self, call: Call, binding: Binding) -> Piece:
        run, cost = binding.step(call), cost_of(call)
        match call.phase:
            case "loss":
                return Piece(LOSS, "forward", run, cost)
            case "update":
                return Piece(OPTIMIZER, "backward", run, cost)
            case phase:
                is_input = call.node == self.network.labels[self.network.image]
                return Piece(INPUT if is_input else call.node, phase, run, cost)
