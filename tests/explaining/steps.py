"""Training steps that tests explain."""

from __future__ import annotations

from gpunn.explaining.explanation import ExplainedCall, Explanation
from gpunn.explaining.gpu import GpuStep
from gpunn.explaining.hardware import HARDWARE
from gpunn.models import model
from gpunn.timing.contestant import Task


def task(name: str, batch: int, precision: str) -> Task:
    """A network as it was designed."""
    chosen = model(name)
    return Task(chosen, batch, precision, chosen.image, chosen.classes)


def on_gpu(name: str, batch: int, precision: str, device: str = "h100") -> Explanation:
    """What is known without a compiler."""
    return GpuStep(task(name, batch, precision), device, HARDWARE[device]).explain({})


def call_of(explanation: Explanation, layer: str, primitive: str) -> ExplainedCall:
    """The only one."""
    (found,) = (call for call in explanation.calls if (call.layer, call.primitive) == (layer, primitive))
    return found
