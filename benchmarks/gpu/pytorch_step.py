"""PyTorch's training step on a GPU, in the ways that people run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.network_step import LEARNING_RATE, MOMENTUM, Task
from gpunn.timing.pytorch.translation import Weights, pytorch_network


@dataclass(frozen=True)
class Way:
    """How PyTorch is run.

    Attributes:
        mixed: automatic mixed precision with bfloat16; else float32.
        tf32: float32 products on tensor cores.
        compiled: torch.compile with mode "max-autotune".
    """

    mixed: bool
    tf32: bool = False
    compiled: bool = False


WAYS = {
    "float32 eager": Way(mixed=False),
    "tf32 eager": Way(mixed=False, tf32=True),
    "bfloat16 eager": Way(mixed=True),
    "bfloat16 compiled": Way(mixed=True, compiled=True),
}


def pytorch_step(task: Task, way: Way, weights: Weights) -> Callable[[], Any]:
    """One step as a function: channels_last, a fused optimiser, cuDNN's algorithms chosen by measurement."""
    torch.backends.cudnn.benchmark = True
    module: Any = pytorch_network(task.build(), weights).cuda()
    images = torch.from_numpy(task.images().transpose(0, 3, 1, 2)).cuda()
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(task.labels()).long().cuda()
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)

    def loss_of(pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=way.mixed):
            return torch.nn.functional.cross_entropy(module(pictures), labels)

    forward = torch.compile(loss_of, mode="max-autotune") if way.compiled else loss_of

    def step() -> torch.Tensor:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.tf32
        optimizer.zero_grad(set_to_none=True)
        loss = forward(images)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
