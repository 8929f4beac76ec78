"""A network built for one device, batch, mode and precision: a plan that can be printed, and a list that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpunn.backend.contract import Array, Device, Memory
from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.network import Network
from gpunn.program.call import Argument, Buffer, Call
from gpunn.program.emission import Emission
from gpunn.program.folding import fold_batch_norms
from gpunn.program.memory_plan import MemoryPlan, plan_memory
from gpunn.program.rewrites import optimise
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ProgramPlan:
    """The calls of a program and the memory they need; nothing is allocated yet.

    Attributes:
        outputs: the buffer that holds what a node computed, of another node where that one passes its input through.
    """

    network: Network
    specification: Specification
    calls: tuple[Call, ...]
    memory: MemoryPlan
    outputs: Mapping[Node, Buffer]


def plan_program(network: Network, device: Device, specification: Specification) -> ProgramPlan:
    """Emit, fold, rewrite, and place."""
    emission = Emission(network, device, specification)
    calls = optimise(fold_batch_norms(emission.run()))
    outputs = {node: emission.output(node) for node in network.nodes}
    return ProgramPlan(network, specification, tuple(calls), plan_memory(calls, device), outputs)


class Program:
    """A plan bound to memory: `run` walks its list.

    Args:
        plan: what to run.
        state: the arrays that outlive a step.
        memory: at least plan.memory.total bytes; programs that never run at the same time may share it.

    Attributes:
        binding: from its buffers to arrays.
        device: what it runs on.
    """

    def __init__(self, plan: ProgramPlan, state: NetworkState, memory: Memory) -> None:
        self.plan = plan
        self._state = state
        self.device = state.device
        self._arrays = _place(plan.memory, state.device, memory)
        scratch = state.device.view(memory, plan.memory.size, (plan.memory.workspace,), np.dtype(np.uint8), "plain")
        self.binding = Binding(state, self._arrays, scratch)
        self._run = state.device.record(in_order(plan.calls, self.binding))

    def run(self) -> None:
        """Execute every call in order."""
        self._run()

    def write(self, name: str, values: HostArray) -> None:
        """Copy a batch into the input buffer of that name: "images", "placement", "labels", or the image node's."""
        self.device.upload(self.array(name), values)

    def read(self, name: str) -> HostArray:
        """A host copy of a kept buffer: an output by its node's name, "loss1", "ranks1"."""
        return self.device.download(self.array(name))

    def read_output(self, node: Node) -> HostArray:
        """A host copy of what a kept node computed."""
        return self.read(self.plan.outputs[node].name)

    def array(self, name: str) -> Array:
        """The device's array behind a placed buffer; nodes that pass their input through share the array of what they
        read.

        Raises:
            UsageError: when the program has none of that name.
        """
        named = {buffer.name: array for buffer, array in self._arrays.items()}
        for node, buffer in self.plan.outputs.items():
            for prefix in ("", "grad "):
                if prefix + buffer.name in named:
                    named.setdefault(prefix + self.plan.network.labels[node], named[prefix + buffer.name])
        if name not in named:
            held = ", ".join(repr(buffer.name) for buffer in self._arrays if buffer.kind in ("input", "kept"))
            raise UsageError(f"this program has no buffer named {name!r}; from outside it has {held}")
        return named[name]

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        """What the host has to write before a run."""
        return tuple(buffer for buffer in self._arrays if buffer.kind == "input")


def _place(plan: MemoryPlan, device: Device, memory: Memory) -> dict[Buffer, Array]:
    return {
        p.buffer: device.view(memory, p.offset, p.buffer.shape, p.buffer.dtype, p.buffer.layout)
        for p in plan.placements
    }


class Binding:
    """Finds the array of every buffer, and makes functions of calls.

    Args:
        state: the arrays that outlive a step.
        placed: the arrays of the program itself.
        scratch: the workspace that all calls share.
    """

    def __init__(self, state: NetworkState, placed: Mapping[Buffer, Array], scratch: Array) -> None:
        self._state = state
        self._placed = placed
        self._scratch = scratch

    def array(self, buffer: Buffer) -> Array:
        """The device's array behind a buffer."""
        state = self._state
        match buffer.kind:
            case "parameter":
                return state.parameters.part(buffer.name)
            case "rounded":
                return _require(state.rounded).part(buffer.name)
            case "gradient":
                return _require(state.gradients).part(buffer.name)
            case "statistic":
                return state.statistics.part(buffer.name)
            case "pending":
                return _require(state.pending).part(buffer.name)
            case "control":
                return state.control(buffer.name)
            case "flat":
                return state.flat(buffer.name)
            case "workspace":
                return self._scratch[: buffer.shape[0]]
            case _:
                return self._placed[buffer]

    def step(self, call: Call) -> Callable[[], None]:
        """A call as a function without arguments."""
        device = self._state.device
        function = getattr(device.primitives, call.primitive)
        named = {name: self._argument(value) for name, value in (*call.writes.items(), *call.reads.items())}
        return partial(function, device, **named, **call.settings)

    def _argument(self, value: Argument) -> Any:
        if isinstance(value, Buffer):
            return self.array(value)
        return None if value is None else [self.array(buffer) for buffer in value]


def in_order(calls: Sequence[Call], binding: Binding) -> Callable[[], None]:
    """All calls as one function."""
    steps = [binding.step(call) for call in calls]

    def run() -> None:
        for step in steps:
            step()

    return run


def _require(arena: Any) -> Any:
    if arena is None:
        raise UsageError(
            "this state was made without an optimizer; give one to NetworkState, or plan a program in mode 'evaluate'"
        )
    return arena


def share_memory(plans: Iterable[ProgramPlan], state: NetworkState) -> list[Program]:
    """Programs that run one after another, in one piece of memory as large as the largest needs."""
    plans = list(plans)
    memory = state.device.allocate(max(plan.memory.total for plan in plans))
    return [Program(plan, state, memory) for plan in plans]
