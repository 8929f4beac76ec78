"""What the CPU backend was built to reach, and the comparisons that show whether it does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.cpu.task import Case

PROGRAM = Path(__file__).resolve().parents[1] / "cpu_training.py"
#: Peak memory of a step over PyTorch's.
MEMORY = 1.0


@dataclass(frozen=True)
class Goal:
    """A comparison, and the highest ratios of time that it may have; None where none was set.

    Attributes:
        training: of a training step.
        inference: of a forward pass.
    """

    case: Case
    training: float | None = None
    inference: float | None = None


def _goals() -> Iterator[Goal]:
    table = (
        ("vgg16", 8, 0.55, 0.85),
        ("vgg16", 16, 0.55, 0.85),
        ("alexnet", 32, 0.80, 0.85),
        ("vgg11-bn-cifar", 128, 0.70, 0.85),
        ("lenet", 128, 1.5, None),
    )
    for network, batch, training, inference in table:
        yield Goal(Case(network, batch, threads=2), training, inference)
    yield Goal(Case("vgg16", 8, threads=2, algorithm="direct"), training=1.3)
    for network, batch in (
        ("resnet-like", 8),
        ("resnet-like-cifar", 128),
        ("bottleneck", 8),
        ("grouped", 8),
        ("depthwise", 8),
        ("lecture-cnn", 64),
        ("odd", 32),
        ("resnet-like", 1),
        ("vgg11", 1),
        ("depthwise", 1),
    ):
        yield Goal(Case(network, batch, threads=2), training=1.2, inference=1.2)
    for network, batch, _, _ in table:
        yield Goal(Case(network, batch, threads=1))


GOALS: tuple[Goal, ...] = tuple(_goals())


def run(case: Case, options: Sequence[str]) -> dict[str, Any]:
    """One comparison in a fresh process, so that none warms up or wears out the next.

    Raises:
        CalledProcessError: when it fails; it has said why.
    """
    named = chain.from_iterable((f"--{name}", str(value)) for name, value in asdict(case).items())
    command = [sys.executable, str(PROGRAM), *named, "--json", *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def verdict(goal: Goal, found: Mapping[str, Any]) -> str:
    """A line for people: each ratio, its spread, its bound, MISSED where it lies above, and what is to be said
    against the figures."""
    case = goal.case
    words = [f"{case.network:18} batch {case.batch:3}  {case.threads} threads  {case.algorithm:6}"]
    for name, bound in (("training", goal.training), ("inference", goal.inference)):
        low, high = found[f"{name}_ratio_spread"]
        words.append(f"{name} {found[f'{name}_ratio']:.2f} ({low:.2f} to {high:.2f}){_held(found, name, bound)}")
    if found["peak_memory_ratio"] is not None:
        words.append(f"memory {found['peak_memory_ratio']:.2f}{_held(found, 'peak_memory', MEMORY)}")
    if found["warnings"]:
        words.append("(not worth comparing)")
    return "  ".join(words)


def _held(found: Mapping[str, Any], name: str, bound: float | None) -> str:
    if bound is None:
        return ""
    return f" <= {bound:.2f}" if found[f"{name}_ratio"] <= bound else f" MISSED {bound:.2f}"
