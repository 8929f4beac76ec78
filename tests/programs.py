"""Programs of the networks in tests.networks, bound to memory and fed with numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpunn.backend.contract import Device
from gpunn.optimizers import Optimizer, Sgd
from gpunn.precision import precision
from gpunn.program.call import Call
from gpunn.program.emission import Emission
from gpunn.program.folding import fold_batch_norms
from gpunn.program.memory_plan import plan_memory
from gpunn.program.program import Program, ProgramPlan, plan_program
from gpunn.program.specification import Mode, Specification
from gpunn.program.state import NetworkState
from tests.networks import Trained

Host = np.ndarray[Any, Any]

FLOAT64 = precision("float64")


def specify(trained: Trained, batch: int, mode: Mode = "train", **others: Any) -> Specification:
    """A float64 program with all objectives."""
    return replace(Specification(batch, mode, FLOAT64, trained.objectives, seed=5), **others)


def plan_as_emitted(trained: Trained, device: Device, specification: Specification) -> ProgramPlan:
    """The calls as the layers emitted them."""
    return plan_changed(trained, device, specification, list)


def plan_without_rewrites(trained: Trained, device: Device, specification: Specification) -> ProgramPlan:
    """The calls as the layers emitted them, but for batch norms that convolutions compute."""
    return plan_changed(trained, device, specification, fold_batch_norms)


def plan_changed(
    trained: Trained, device: Device, specification: Specification, change: Callable[[Sequence[Call]], list[Call]]
) -> ProgramPlan:
    """The calls that `change` makes of those that the layers emitted."""
    emission = Emission(trained.network, device, specification)
    calls = change(emission.run())
    outputs = {node: emission.output(node) for node in trained.network.nodes}
    return ProgramPlan(trained.network, specification, tuple(calls), plan_memory(calls, device), outputs)


def plan(trained: Trained, device: Device, specification: Specification) -> ProgramPlan:
    """The calls as they run."""
    return plan_program(trained.network, device, specification)


def state_of(trained: Trained, device: Device, optimizer: Optimizer | None = None, seed: int = 1) -> NetworkState:
    """Weights from the seed, biases and slopes moved away from their constants, no momentum by default."""
    state = NetworkState(
        trained.network, device, FLOAT64, optimizer or Sgd(momentum=0.0), objectives=len(trained.objectives)
    )
    state.initialize(seed)
    numbers = np.random.default_rng(seed)
    state.parameters.load(
        {name: values + numbers.uniform(-0.2, 0.2, values.shape) for name, values in state.parameters.export().items()}
    )
    state.load_statistics(
        {
            name: np.asarray(numbers.uniform(0.5, 1.5, values.shape))
            for name, values in state.statistics.export().items()
        }
    )
    return state


def bind(plan: ProgramPlan, state: NetworkState, filling: int = 0xFF) -> Program:
    """The program in memory of which every byte is `filling`: as it stands, NaN."""
    memory = state.device.allocate(plan.memory.total)
    state.device.upload(memory, np.full(plan.memory.total, filling, np.uint8))
    return Program(plan, state, memory)


def inputs_of(trained: Trained, batch: int, seed: int = 2) -> dict[str, Host]:
    """Images and targets, by the names of their buffers."""
    numbers = np.random.default_rng(seed)
    given: dict[str, Host] = {trained.network.image.name: numbers.normal(size=(batch, *trained.network.image.shape))}
    for objective in trained.objectives:
        (features,) = objective.output.shape
        if objective.loss.target == "labels":
            given[objective.target] = numbers.integers(0, features, batch).astype(np.int32)
        else:
            values = numbers.uniform(0.1, 1.0, (batch, features))
            given[objective.target] = values / values.sum(axis=1, keepdims=True)
    return given


def write(program: Program, given: dict[str, Host]) -> None:
    """Fill every input of the program."""
    for name, values in given.items():
        program.write(name, values)


def loss_of(program: Program) -> float:
    """What a run minimised: the weighted sum over all images and objectives."""
    return sum(
        objective.weight * float(program.read(f"loss{position}").sum())
        for position, objective in enumerate(program.plan.specification.objectives, start=1)
    )


@dataclass(frozen=True)
class Result:
    """Everything that one run leaves behind."""

    outputs: dict[str, Host]
    gradients: dict[str, Host]
    statistics: dict[str, Host]

    def equals(self, other: Result) -> bool:
        """Whether every bit agrees."""
        pairs = zip(
            (self.outputs, self.gradients, self.statistics),
            (other.outputs, other.gradients, other.statistics),
            strict=True,
        )
        return all(
            mine.keys() == theirs.keys() and all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)
            for mine, theirs in pairs
        )


def run(
    trained: Trained, device: Device, plan: ProgramPlan, filling: int = 0xFF, state: NetworkState | None = None
) -> Result:
    """One run on fresh memory, and what it wrote."""
    state = state or state_of(trained, device)
    program = bind(plan, state, filling)
    write(program, inputs_of(trained, plan.specification.batch))
    program.run()
    kept = [p.buffer.name for p in plan.memory.placements if p.buffer.kind == "kept"]
    gradients = state.gradients.export() if state.gradients and plan.specification.mode == "train" else {}
    pending = state.pending.export() if state.pending else {}
    return Result({name: program.read(name) for name in kept}, gradients, pending)
