"""PyTorch's side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from gpunn.cores import processor_name
from gpunn.errors import UsageError
from gpunn.timing.contestant import Task
from gpunn.timing.layer_clock import BETWEEN
from gpunn.timing.layer_row import LayerRow, floor_of
from gpunn.timing.network_step import INPUT, LOSS, OPTIMIZER, Direction
from gpunn.timing.pytorch.ceilings import PytorchCeilings
from gpunn.timing.pytorch.library import load_torch
from gpunn.timing.pytorch.marks import Clock, cpu_clock, cuda_clock, parts_of
from gpunn.timing.pytorch.openmp import end_idle_threads
from gpunn.timing.pytorch.row_plan import plan_rows
from gpunn.timing.pytorch.settings import Settings, apply_settings
from gpunn.timing.pytorch.step import PytorchStep
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import Subject, calls_of

#: Which precisions PyTorch's side has on which kind of device.
PRECISIONS: Mapping[str, tuple[str, ...]] = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "tf32", "bfloat16")}
#: How the rows that are no layers are computed.
_OTHERS = {INPUT: "to, mul_, sub_", LOSS: "cross_entropy", OPTIMIZER: "SGD(fused=True)"}
#: Numbers that are enough for every thread to get some.
_WAKING = 2**17


def pytorch_contestant(task: Task, device: str, threads: int | None) -> PytorchContestant:
    """PyTorch on a device that it shares with gpunn.

    Args:
        task: what is computed.
        device: "cpu", "cuda" or "cuda:N".
        threads: of the CPU, given back at the end; None leaves PyTorch's own number.

    Raises:
        UsageError: when PyTorch is not installed, or lacks the device, the precision, or a layer of the network.
    """
    torch = load_torch()
    kind = device.partition(":")[0]
    if kind not in PRECISIONS:
        raise UsageError(f"PyTorch has no device {device!r}; compare on {' or '.join(PRECISIONS)}")
    if task.precision not in PRECISIONS[kind]:
        raise UsageError(
            f"PyTorch's side has no precision {task.precision} on {device}; "
            f"use --precision {' or '.join(PRECISIONS[kind])}"
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"PyTorch {torch.__version__} sees no GPU; install one built for CUDA (pip install torch), "
            "or leave out --compare"
        )
    return PytorchContestant(torch, task, device, threads)


class PytorchContestant:
    """A task on one device, computed by PyTorch."""

    def __init__(self, torch: Any, task: Task, device: str, threads: int | None) -> None:
        self._torch = torch
        self._on_cpu = device == "cpu"
        self._device = torch.device(device)
        self._before = apply_settings(torch, Settings.wanted(task.precision, threads))
        self._dtype = torch.bfloat16 if task.precision == "bfloat16" else torch.float32
        self._named = device
        try:
            self._step = PytorchStep(torch, task, device)
            self._rows = plan_rows(task)
        except BaseException:
            self.close()
            raise
        self._clock: Clock = cpu_clock() if self._on_cpu else cuda_clock(torch, device)
        self._calls = 0
        self._parts: list[tuple[str, Direction]] = []
        self._samples: list[list[float]] = []
        self._ceilings: PytorchCeilings | None = None
        self._woken = torch.zeros(_WAKING)

    @property
    def device(self) -> str:
        """Such as "pytorch:cpu"."""
        return f"pytorch:{self._named}"

    @property
    def name(self) -> str:
        """Of the hardware."""
        return processor_name() if self._on_cpu else str(self._torch.cuda.get_device_name(self._device))

    @property
    def threads(self) -> int | None:
        """Of the CPU."""
        return int(self._torch.get_num_threads()) if self._on_cpu else None

    @property
    def versions(self) -> Mapping[str, str]:
        """Of PyTorch."""
        return {"pytorch": str(self._torch.__version__)}

    @property
    def training(self) -> Subject:
        """A step."""
        return Subject(self._step.train, self._wait)

    @property
    def inference(self) -> Subject:
        """A forward pass."""
        return Subject(self._step.infer, self._wait)

    def loss(self) -> float:
        """Mean loss of the pictures with the weights as they are, in evaluation mode."""
        return self._step.loss()

    def sample_layers(self) -> None:
        """The mean of some steps, part by part; the first do not count."""
        self._wait()
        if not self._calls:
            self._seconds_of_parts()
            self._calls = calls_of(sum(self._seconds_of_parts()))
        steps = [self._seconds_of_parts() for _ in range(self._calls)]
        self._samples.append([fmean(part) for part in zip(*steps, strict=True)])

    def layers(self, ceilings: Ceilings | None) -> tuple[LayerTimes, ...]:
        """The rows of gpunn's step, with what PyTorch takes for the same work."""
        if not self._samples:
            return ()
        numbers: dict[tuple[str, Direction], list[int]] = {}
        for number, (label, direction) in enumerate(self._parts):
            numbers.setdefault((self._rows.row(label, direction), direction), []).append(number)
        return tuple(
            self._row(row, numbers.get((row, "forward"), []), numbers.get((row, "backward"), []), ceilings)
            for row in self._rows.kinds
        )

    def ceilings(self) -> Ceilings:
        """A product and a copy, measured now. Others run next: the threads end, and begin anew before a sample."""
        if self._ceilings is None:
            self._ceilings = PytorchCeilings(self._torch, self._device, self._dtype)
        measured = self._ceilings.measure()
        if self._on_cpu:
            end_idle_threads()
        return measured

    def close(self) -> None:
        """Give PyTorch its own settings back."""
        apply_settings(self._torch, self._before)

    def _wait(self) -> None:
        """For the GPU; on the CPU, for the threads to be there."""
        if self._on_cpu:
            self._woken.add_(1)
        else:
            self._torch.cuda.synchronize(self._device)

    def _seconds_of_parts(self) -> list[float]:
        parts = parts_of(self._step.train_in_parts, self._clock)
        self._parts = [(label, direction) for label, direction, _ in parts]
        return [seconds for _, _, seconds in parts]

    def _row(self, name: str, forward: Sequence[int], backward: Sequence[int], ceilings: Ceilings | None) -> LayerTimes:
        costs = self._rows.costs[name]
        row = LayerRow(
            name=name,
            kind=self._rows.kinds[name],
            forward=forward,
            backward=backward,
            costs=costs,
            executed_flops=sum(cost.flops for cost in costs),
            algorithm=self._algorithm(name),
        )
        return row.times(self._samples, floor_of(costs, ceilings))

    def _algorithm(self, row: str) -> str:
        """The modules whose passes the row holds, forward and backward."""
        if row in _OTHERS:
            return _OTHERS[row]
        passes = [
            [type(module).__name__ for label, module in self._step.modules.items() if rows[label] == row]
            for rows in (self._rows.forward, self._rows.backward)
        ]
        return BETWEEN.join(dict.fromkeys(" + ".join(dict.fromkeys(names)) for names in passes if names))
