"""gpunn's training step on a device, with images and labels already there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import model
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.program import Program, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification

LEARNING_RATE, MOMENTUM = 0.001, 0.9

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Task:
    """What both sides compute: a network by name, and how many images at a time."""

    network: str
    batch: int

    def build(self) -> Network:
        """gpunn's network."""
        chosen = model(self.network)
        return chosen.build(chosen.image, chosen.classes)

    def images(self) -> HostArray:
        """Random numbers, N, H, W, C: zeros would flatter every side."""
        shape = (self.batch, *model(self.network).image)
        return np.random.default_rng(1).standard_normal(shape, np.float32)

    def labels(self) -> HostArray:
        """Random classes."""
        return np.random.default_rng(2).integers(0, model(self.network).classes, self.batch).astype(np.int32)


class NetworkStep:
    """Forward, backward and update of one task in one precision."""

    def __init__(self, task: Task, device: Device, precision_name: str) -> None:
        self.task = task
        self.device = device
        number_types = precision(precision_name)
        network = task.build()
        objectives = tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs)
        optimizer = Sgd(momentum=MOMENTUM)
        self.state = NetworkState(network, device, number_types, optimizer, len(objectives))
        self.state.initialize(seed=0)
        for name, value in (
            ("loss_scale", 1 / task.batch),
            ("loss_share", 1 / task.batch),
            ("learning_rate", LEARNING_RATE),
        ):
            self.state.set_control(name, value)
        plan = plan_program(network, device, Specification(task.batch, "train", number_types, objectives))
        self.program: Program = share_memory([plan], self.state)[0]
        self.update = Update(self.state, UpdateSpecification(optimizer))
        (image,) = (buffer for buffer in self.program.inputs if buffer.name == network.image.name)
        self.program.write(image.name, task.images().astype(image.dtype))
        self.program.write("labels", task.labels())

    @property
    def calls(self) -> tuple[Call, ...]:
        """Everything that one step does, in order."""
        return (*self.program.plan.calls, *self.update.calls)

    def run(self) -> None:
        """One step."""
        self.program.run()
        self.update.run()

    def loss(self) -> float:
        """Mean loss of the last forward pass; waits for the device."""
        return float(self.program.read("loss1").mean())
