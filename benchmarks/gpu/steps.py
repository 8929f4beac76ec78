"""Milliseconds of a whole training step: gpunn's in one precision, in turn with PyTorch's in the same."""

from __future__ import annotations

import gc
from dataclasses import asdict
from typing import Any

from benchmarks.gpu.network_step import NetworkStep, Task
from gpunn.backend.contract import Device
from gpunn.timing.stopwatch import Subject, interleave

#: Which of PyTorch's ways goes with which of gpunn's precisions: see benchmarks.gpu.pytorch_step.
EAGER = {"float32": "float32 eager", "tf32": "tf32 eager", "bfloat16": "bfloat16 eager"}
COMPILED = {"bfloat16": "bfloat16 compiled"}
ROUNDS = 7


def step_times(device: Device, task: Task, precision: str, way: str | None) -> dict[str, Any]:
    """Times of both sides; of gpunn alone when `way` is None."""
    if way is not None:
        _free_what_pytorch_keeps()
    ours = NetworkStep(task, device, precision)
    subjects = {"gpunn": Subject(ours.run, device.synchronize)}
    if way is not None:
        import torch

        from benchmarks.gpu.pytorch_step import WAYS, pytorch_step

        theirs = pytorch_step(task, WAYS[way], ours.state.parameters.export())
        subjects[f"pytorch {way}"] = Subject(theirs, torch.cuda.synchronize)
    times = interleave(subjects, ROUNDS)
    return {
        "batch": task.batch,
        "milliseconds": {name: asdict(found) for name, found in times.items()},
        "images_per_second": {name: 1000 * task.batch / found.median for name, found in times.items()},
        "loss": ours.loss(),
    }


def _free_what_pytorch_keeps() -> None:
    """PyTorch keeps the memory of the step that was timed before; gpunn could not have it."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
