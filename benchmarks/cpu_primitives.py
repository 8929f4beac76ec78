"""The CPU's primitives beside PyTorch's operations, at the shapes of a network, interleaved.

    python -m benchmarks.cpu_primitives --network vgg11-bn-cifar --batch 128 --threads 2 --json

A line for each: milliseconds of both, the ratio gpunn / PyTorch as the median of the pairs with its quartiles, and how
many times the floor gpunn takes. The floor is the time in which a copy of this machine moves the bytes that the
primitive has to move; what fits a cache may stay below it.
PyTorch runs what its layers and its autograd run in a step, in channels_last, with results that it allocates, as in a
step; of its optimisers the faster of `fused` and `foreach`. gpunn's loss is one primitive with the gradient and ranks
of the labels, beside PyTorch's cross_entropy and its gradient. Without PyTorch only gpunn is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.cpu.primitives.cases import Case, cases_of
from benchmarks.cpu.primitives.ours import our_call
from benchmarks.cpu.primitives.pytorch import their_calls
from gpunn.backend.contract import nothing
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.errors import UsageError
from gpunn.models import MODELS
from gpunn.timing.pytorch.library import load_torch
from gpunn.timing.pytorch.openmp import end_idle_threads
from gpunn.timing.stopwatch import Subject, calls_of, sample

#: Bytes that a copy moves to tell the machine's bandwidth: more than any cache holds.
COPIED = 2**27
#: Numbers that are enough for every thread of PyTorch to get some.
WAKING = 2**17
WARM_UP_CALLS = 2


@dataclass(frozen=True)
class Line:
    """What was found of one case.

    Attributes:
        case: operation and shape.
        ours: milliseconds, median.
        theirs: milliseconds, median; None without PyTorch.
        ratio: median of ours / theirs, pair by pair.
        ratio_quartiles: of the pairs.
        floors: ours as a multiple of the floor.
    """

    case: str
    ours: float
    theirs: float | None
    ratio: float | None
    ratio_quartiles: tuple[float, float] | None
    floors: float

    def __str__(self) -> str:
        words = f"{self.case:<52} gpunn {self.ours:8.3f} ms  {self.floors:5.1f} floors"
        if self.theirs is None or self.ratio_quartiles is None:
            return words
        low, high = self.ratio_quartiles
        return f"{words}  PyTorch {self.theirs:8.3f} ms  ratio {self.ratio:.2f} ({low:.2f} to {high:.2f})"


def lines(device: CpuDevice, torch: Any, network: str, batch: int, rounds: int, wanted: str = "") -> Iterator[Line]:
    """All cases of a network whose operation contains `wanted`; `torch` may be None."""
    bandwidth = copy_bandwidth(device)
    for case in cases_of(network, batch):
        if wanted in case.operation:
            yield compare(device, torch, case, rounds, case.moved / bandwidth)


def compare(device: CpuDevice, torch: Any, case: Case, rounds: int, floor: float) -> Line:
    """Time both in turn, `rounds` times; the one that begins changes."""
    ours = _Side(Subject(our_call(device, case), nothing), nothing)
    sides = [ours] if torch is None else [ours, _their_side(torch, case)]
    for turn in range(rounds):
        for side in sides[:: 1 if turn % 2 == 0 else -1]:
            side.take()
    milliseconds = [1000 * statistics.median(side.seconds) for side in sides]
    floors = milliseconds[0] / 1000 / floor
    if torch is None:
        return Line(case.title, milliseconds[0], None, None, None, floors)
    ratios = [our / their for our, their in zip(ours.seconds, sides[1].seconds, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    return Line(case.title, *milliseconds, ratio, (low, high), floors)


class _Side:
    """The samples of one side.

    Args:
        subject: what is timed; `end` is called after each sample.
    """

    def __init__(self, subject: Subject, end: Callable[[], None]) -> None:
        self._subject, self._end = subject, end
        for _ in range(WARM_UP_CALLS):
            seconds = sample(subject, 1)
        end()
        self._calls = calls_of(seconds)
        self.seconds: list[float] = []

    def take(self) -> None:
        """One more sample."""
        self.seconds.append(sample(self._subject, self._calls))
        self._end()


def _their_side(torch: Any, case: Case) -> _Side:
    awake = torch.zeros(WAKING)
    sides = [_Side(Subject(call, lambda: awake.add_(1)), end_idle_threads) for call in their_calls(torch, case)]
    if len(sides) == 1:
        return sides[0]
    for side in sides:
        side.take()
    fastest = min(sides, key=lambda side: side.seconds[0])
    fastest.seconds.clear()
    return fastest


def copy_bandwidth(device: CpuDevice) -> float:
    """Bytes that all threads read and write in a second of copying."""
    source, target = (np.ones(COPIED // 8, np.float32) for _ in range(2))
    run = device.primitives
    subject = Subject(lambda: run.copy(device, target, source, False), nothing)
    return COPIED / statistics.median(sample(subject, 1) for _ in range(7))


def main() -> None:
    """Compare, and print lines or JSON objects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), default="lenet")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", metavar="WORDS", help="operations whose names contain this")
    parser.add_argument("--json", action="store_true", help="a JSON object for each line")
    arguments = parser.parse_args()
    try:
        torch = load_torch()
        torch.set_num_threads(arguments.threads)
    except UsageError:
        torch = None
    device = open_cpu(arguments.threads)
    for line in lines(device, torch, arguments.network, arguments.batch, arguments.rounds, arguments.only):
        print(json.dumps(asdict(line)) if arguments.json else line, flush=True)
    device.close()


if __name__ == "__main__":
    main()
