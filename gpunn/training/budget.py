"""How much memory a training step takes, computed without allocating it."""

from __future__ import annotations

from dataclasses import dataclass

from gpunn.backend.cpu.device import CpuDevice
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import Recipe
from gpunn.network import Network
from gpunn.optimizers import optimizer
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.program import ProgramPlan, plan_program
from gpunn.program.specification import Specification
from gpunn.program.state import state_bytes
from gpunn.program.tables import tables_of
from gpunn.program.update import UpdateSpecification, plan_update


@dataclass(frozen=True)
class Budget:
    """Bytes of one training step on the CPU in float32.

    Attributes:
        program: the planned step up to the gradients.
        update: the calls that end it.
        state: weights, gradients, optimiser state and statistics.
    """

    program: ProgramPlan
    update: tuple[Call, ...]
    state: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.program.memory.total + self.state


def training_budget(network: Network, batch: int, recipe: Recipe) -> Budget:
    """The budget of a network with its recipe's optimiser."""
    float32 = precision("float32")
    device = CpuDevice(threads=1)
    try:
        specification = Specification(
            batch=batch,
            mode="train",
            precision=float32,
            objectives=tuple(Objective(output, SoftmaxCrossEntropy()) for output in network.outputs),
            pictures=(network.image.shape[0], network.image.shape[1]),
        )
        plan = plan_program(network, device, specification)
        rule = optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum)
        update = UpdateSpecification(rule, clip_norm=recipe.clip_norm)
        calls = plan_update(tables_of(network, rule.weight_decay), float32, update)
        return Budget(plan, calls, state_bytes(network, device, float32, rule))
    finally:
        device.close()
