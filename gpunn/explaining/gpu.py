"""A training step on a GPU that is not there: the launches that it would get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gpunn.backend.cuda.compiling.compile import KernelResources
from gpunn.backend.cuda.inspection.resources import Resources
from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.dry_run.opening import open_dry_run
from gpunn.explaining.explanation import ExplainedCall, Explanation, StepMemory, rows_of
from gpunn.explaining.hardware import Hardware
from gpunn.explaining.residency import describe_launch
from gpunn.explaining.step import Subject, explain_call, plan_step
from gpunn.program.call import Call
from gpunn.program.program import Program
from gpunn.program.state import NetworkState
from gpunn.program.update import Update
from gpunn.training.devices import check_precision
from gpunn.training.programs import largest_batch

#: All kernels by rule of thumb.
NO_CHOICES: Mapping[str, object] = MappingProxyType({})


class GpuStep:
    """A training step that was run on paper: every call with the launches that it makes.

    Args:
        subject: what to train.
        device: what the hardware was called.
        hardware: where.
        choices: of kernels, as they were measured on such a GPU; the first by rule of thumb for what they lack.

    Raises:
        DeviceError: when the GPU does not compute the precision.
    """

    def __init__(
        self, subject: Subject, device: str, hardware: Hardware, choices: Mapping[str, object] = NO_CHOICES
    ) -> None:
        self._subject = subject
        self._device = device
        self._hardware = hardware
        self._choices = choices
        self._dry = open_dry_run(device, hardware.architecture)
        self._dry.device.adopt_plan(choices)
        number_types = check_precision(subject.precision, self._dry.device)
        self._network = subject.network()
        state = NetworkState(self._network, self._dry.device, number_types, subject.optimizer())
        channels = subject.image[-1]
        for name in ("image_mean", "image_deviation"):
            state.set_constant(name, np.ones(channels))
        plan = plan_step(subject, self._network, self._dry.device, subject.batch)
        self._program_bytes = plan.memory.total
        program = Program(plan, state, self._dry.device.allocate(plan.memory.total))
        update = Update(state, subject.update())
        self._steps = [(call, self._launches(program, call)) for call in (*plan.calls, *update.calls)]

    @property
    def sources(self) -> Sequence[KernelSource]:
        """Of all kernels that are launched, each once."""
        return list(dict.fromkeys(launch.source for _, launches in self._steps for launch in launches))

    def explain(self, resources: Mapping[KernelSource, Resources]) -> Explanation:
        """Everything that is known of the step.

        Args:
            resources: what kernels need, of the sources that were compiled.
        """
        product = self._hardware.products[self._subject.number_types.multiplied]
        calls: list[ExplainedCall] = []
        for call, launches in self._steps:
            explained = explain_call(call, product, self._hardware.copy)
            shown = (describe_launch(one, _needs(one, resources), self._hardware) for one in launches)
            calls.append(replace(explained, launches=tuple(shown)))
        hardware = self._hardware
        return Explanation(
            model=self._subject.model.name,
            batch=self._subject.batch,
            precision=self._subject.precision,
            device=self._device,
            name=f"{hardware.name} (sm_{hardware.architecture}, {hardware.multiprocessors} multiprocessors)",
            product=product,
            copy=hardware.copy,
            rows=rows_of(calls),
            memory=self._memory(),
            kernels=self._how_chosen(),
        )

    def _launches(self, program: Program, call: Call) -> tuple[CheckedLaunch, ...]:
        program.binding.step(call)()
        return self._dry.log.take()

    def _memory(self) -> StepMemory:
        available, program = self._hardware.memory_bytes, self._program_bytes
        state = self._dry.memory.allocated_bytes - program
        fits = program + state <= available
        largest = None if fits else largest_batch(self._wanted, available - state, self._subject.batch)
        return StepMemory(program, state, available, largest)

    def _wanted(self, batch: int) -> int:
        """Bytes of the program for another batch."""
        return plan_step(self._subject, self._network, self._dry.device, batch).memory.total

    def _how_chosen(self) -> str:
        by_rule = len(self._dry.device.thread_plan().keys() - self._choices.keys())
        told = f"{len(self._choices)} chosen by measuring, " if self._choices else ""
        return f"of those with rivals, {told}{by_rule} by rule of thumb"


def _needs(launch: CheckedLaunch, resources: Mapping[KernelSource, Resources]) -> KernelResources | None:
    return resources[launch.source].get(launch.signature.name) if launch.source in resources else None
