"""gpunn's side of a comparison."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import numpy as np

import gpunn
from gpunn.backend.contract import Device
from gpunn.errors import DivergedError
from gpunn.precision import precision
from gpunn.timing.ceilings import CeilingProbe
from gpunn.timing.contestant import Task
from gpunn.timing.layer_clock import LayerClock
from gpunn.timing.network_step import NetworkStep
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import Subject


class GpunnContestant:
    """A task on one device.

    Args:
        task: what is computed.
        device: where; whoever opened it closes it.

    Raises:
        MemoryExhaustedError: when the task does not fit the device.
    """

    def __init__(self, task: Task, device: Device) -> None:
        self._device = device
        self._step = NetworkStep(task, device)
        self._clock = LayerClock(self._step, device)
        self._precision = precision(task.precision)
        self._probe: CeilingProbe | None = None

    @property
    def device(self) -> str:
        """Such as "cpu" or "cuda:0"."""
        return self._device.name

    @property
    def name(self) -> str:
        """Of the hardware."""
        return self._device.hardware

    @property
    def threads(self) -> int | None:
        """Of the CPU."""
        threads = self._device.thread_plan().get("cpu_threads")
        return threads if isinstance(threads, int) else None

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what takes part."""
        return {"gpunn": gpunn.__version__, "python": platform.python_version(), "numpy": np.__version__}

    @property
    def training(self) -> Subject:
        """A step."""
        return Subject(self._step.train, self._device.synchronize)

    @property
    def inference(self) -> Subject:
        """A forward pass."""
        return Subject(self._step.infer, self._device.synchronize)

    def loss(self) -> float:
        """Mean loss of the pictures with the weights as they are, in evaluation mode."""
        return self._step.loss()

    def sample_layers(self) -> None:
        """One training step, call by call."""
        self._clock.sample()

    def layers(self, ceilings: Ceilings | None) -> tuple[LayerTimes, ...]:
        """Rows of the samples so far.

        Raises:
            DivergedError: when the numbers of a step were not finite, for void steps take less time.
        """
        if self._step.is_void():
            raise DivergedError(f"the steps on {self.device} gave numbers that are not finite; try another --precision")
        return self._clock.rows(ceilings)

    def ceilings(self) -> Ceilings:
        """A product and a copy, measured now."""
        if self._probe is None:
            self._probe = CeilingProbe(self._device, self._precision)
        return self._probe.measure()

    def close(self) -> None:
        """Let go of the host's memory."""
        self._step.close()
