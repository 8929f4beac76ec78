"""A training step on a GPU that is not there: the launches that it would get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from gpunn.backend.cuda.compiling.compile import KernelResources
from gpunn.backend.cuda.inspection.resources import Resources
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.dry_run.opening import open_dry_run
from gpunn.backend.work import Work
from gpunn.explaining.explanation import ExplainedCall, Explanation, StepMemory, rows_of
from gpunn.explaining.hardware import Hardware
from gpunn.explaining.residency import describe_launch
from gpunn.explaining.step import explain_call, optimizer_of, plan_step, update_of
from gpunn.program.call import Call
from gpunn.program.program import Program
from gpunn.program.state import NetworkState
from gpunn.program.update import Update
from gpunn.timing.contestant import Task
from gpunn.training.devices import check_precision
from gpunn.training.programs import largest_batch

#: All kernels by rule of thumb.
NO_CHOICES: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class _Told:
    """A call, and what the device was told to do for it."""

    call: Call
    work: Work
    launches: tuple[CheckedLaunch, ...]


class GpuStep:
    """A training step that was run on paper: every call with the launches that it makes.

    Args:
        task: what to train.
        device: what the hardware was called.
        hardware: where.
        choices: of kernels, as they were measured on such a GPU; the first by rule of thumb for what they lack.

    Raises:
        DeviceError: when the GPU does not compute the precision.
    """

    def __init__(self, task: Task, device: str, hardware: Hardware, choices: Mapping[str, object] = NO_CHOICES) -> None:
        self._task = task
        self._hardware = hardware
        self._choices = choices
        self._dry = open_dry_run(device, hardware.architecture)
        self._dry.device.adopt_plan(choices)
        self._number_types = check_precision(task.precision, self._dry.device)
        self._network = task.network()
        state = NetworkState(self._network, self._dry.device, self._number_types, optimizer_of(task))
        for name in ("image_mean", "image_deviation"):
            state.set_constant(name, np.ones(task.image[-1]))
        plan = plan_step(task, self._network, self._dry.device, task.batch)
        self._program_bytes = plan.memory.total
        program = Program(plan, state, self._dry.device.allocate(plan.memory.total))
        update = Update(state, update_of(task))
        self._told = [self._tell(program, call) for call in (*plan.calls, *update.calls)]

    @property
    def sources(self) -> Sequence[KernelSource]:
        """Of all kernels that are launched, each once."""
        return list(dict.fromkeys(launch.source for told in self._told for launch in told.launches))

    @property
    def chosen(self) -> Mapping[str, object]:
        """The names of kernels that have rivals, by what they were chosen for."""
        return self._dry.device.thread_plan()

    def explain(self, resources: Mapping[KernelSource, Resources]) -> Explanation:
        """Everything that is known of the step.

        Args:
            resources: what kernels need, of the sources that were compiled.
        """
        hardware = self._hardware
        return Explanation(
            model=self._task.model.name,
            batch=self._task.batch,
            precision=self._task.precision,
            device=self._dry.device.name,
            name=f"{hardware.name} (sm_{hardware.architecture}, {hardware.multiprocessors} multiprocessors)",
            product=hardware.products[self._number_types.multiplied],
            copy=hardware.copy,
            rows=rows_of(self._explained(told, resources) for told in self._told),
            memory=self._memory(),
            kernels=self._how_chosen(),
        )

    def _tell(self, program: Program, call: Call) -> _Told:
        work = self._dry.device.observe(program.binding.step(call))
        return _Told(call, work, self._dry.log.take())

    def _explained(self, told: _Told, resources: Mapping[KernelSource, Resources]) -> ExplainedCall:
        hardware = self._hardware
        launches = tuple(describe_launch(one, _needs(one, resources), hardware) for one in told.launches)
        product = hardware.products[self._number_types.multiplied]
        return explain_call(told.call, told.work, product, hardware.copy, launches)

    def _memory(self) -> StepMemory:
        available, program = self._hardware.memory_bytes, self._program_bytes
        state = self._dry.memory.allocated_bytes - program
        fits = program + state <= available
        largest = None if fits else largest_batch(self._wanted, available - state, self._task.batch)
        return StepMemory(program, state, available, largest)

    def _wanted(self, batch: int) -> int:
        """Bytes of the program for another batch."""
        return plan_step(self._task, self._network, self._dry.device, batch).memory.total

    def _how_chosen(self) -> str:
        by_rule = len(self.chosen.keys() - self._choices.keys())
        told = f"{len(self._choices)} chosen by measuring, " if self._choices else ""
        return f"where several serve a call, {told}{by_rule} chosen by rule of thumb"


def _needs(launch: CheckedLaunch, resources: Mapping[KernelSource, Resources]) -> KernelResources | None:
    return resources[launch.source].get(launch.signature.name) if launch.source in resources else None
