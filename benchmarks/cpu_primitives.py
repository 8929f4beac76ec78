"""The CPU's primitives beside PyTorch's operations, at the shapes of a network, interleaved.

    python -m benchmarks.cpu_primitives --network vgg11-bn-cifar --batch 128 --threads 2 --json

A line for each: milliseconds of both, medians, their ratio gpunn / PyTorch with the quartiles of the pairs, and how
many times the floor gpunn takes. The floor is the time in which a copy of this machine moves the bytes that the
primitive has to move; what fits a cache may stay below it.
PyTorch runs what its layers and its autograd run in a step, in channels_last, with results that it allocates, as in a
step; of its optimisers the faster of `fused` and `foreach`. gpunn's loss is one primitive with the gradient and ranks
of the labels, beside PyTorch's cross_entropy and its gradient. Without PyTorch only gpunn is timed.
PyTorch's threads wait for each other in circles, so that small operations beside other processes take it many
milliseconds: the program warns of a busy machine.

One thread of NumPy goes over arrays in a cache as fast as one of PyTorch; ratios of two to four on small maps are the
second thread, which PyTorch keeps awake, and chains of calls where PyTorch has one loop. What was tried and does not
pay: pieces of 2^15 to 2^17 numbers for two threads (each call ends with a wait for the interpreter's lock: two to four
times as slow), pooling's gradients added tap by tap in place of pixel by pixel, places by np.bitwise_and.accumulate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cpu.arguments import positive
from benchmarks.cpu.others import others_running, warning
from benchmarks.cpu.pairs import Rounds
from benchmarks.cpu.primitives.cases import Case, cases_of
from benchmarks.cpu.primitives.ours import our_call
from benchmarks.cpu.primitives.pytorch import their_calls
from gpunn.backend.contract import nothing
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.errors import UsageError
from gpunn.models import MODELS
from gpunn.timing.pytorch.library import load_torch
from gpunn.timing.pytorch.openmp import end_idle_threads
from gpunn.timing.stopwatch import Series, Subject, sample

#: Bytes that a copy moves to tell the machine's bandwidth: more than any cache holds.
COPIED = 2**27
#: Numbers that are enough for every thread of PyTorch to get some.
WAKING = 2**17
#: Samples of each way that PyTorch has, before the faster one is compared.
TRIALS = 3
#: Rounds that have quartiles.
FEWEST_ROUNDS = 2


@dataclass(frozen=True)
class Line:
    """What was found of one case.

    Attributes:
        case: operation and shape.
        ours: milliseconds, median.
        theirs: milliseconds, median; None without PyTorch.
        ratio: ours over theirs.
        ratio_quartiles: of the ratios of the pairs.
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
    """Time both in turn, `rounds` times; the one that begins changes. `torch` may be None."""
    ours = Subject(our_call(device, case), nothing)
    if torch is None:
        alone = 1000 * median(_samples(ours, rounds))
        return Line(case.title, alone, None, None, None, alone / 1000 / floor)
    pairs = Rounds(rounds, rounds, 0, end_idle_threads).take(ours, _fastest(torch, case))
    mine, theirs = 1000 * median(pairs.ours), 1000 * median(pairs.theirs)
    return Line(case.title, mine, theirs, pairs.ratio, pairs.quartiles, mine / 1000 / floor)


def _fastest(torch: Any, case: Case) -> Subject:
    """PyTorch's way of the case that takes least; waiting for it means that its threads are there."""
    awake = torch.zeros(WAKING)
    ways = [Subject(call, lambda: awake.add_(1)) for call in their_calls(torch, case)]
    return ways[0] if len(ways) == 1 else min(ways, key=lambda way: median(_samples(way, TRIALS)))


def _samples(subject: Subject, count: int) -> tuple[float, ...]:
    """Seconds of a call, sample by sample."""
    series = Series(subject)
    for _ in range(count):
        series.take()
    return series.seconds


def copy_bandwidth(device: CpuDevice) -> float:
    """Bytes that all threads read and write in a second of copying."""
    source, target = (np.ones(COPIED // 8, np.float32) for _ in range(2))
    run = device.primitives
    subject = Subject(lambda: run.copy(device, target, source, False), nothing)
    return COPIED / median(sample(subject, 1) for _ in range(7))


def main() -> None:
    """Compare, and print lines or JSON objects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), default="lenet")
    parser.add_argument("--batch", type=positive, default=128, help="128 by default")
    parser.add_argument("--threads", type=positive, default=2, help="of each side; 2 by default")
    parser.add_argument("--rounds", type=positive, default=7, help="pairs of samples; 7 by default")
    parser.add_argument("--only", default="", metavar="WORDS", help="operations whose names contain this")
    parser.add_argument("--json", action="store_true", help="a JSON object for each line")
    arguments = parser.parse_args()
    if arguments.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds {arguments.rounds} have no quartiles; ask for {FEWEST_ROUNDS} or more")
    known = list(dict.fromkeys(case.operation for case in cases_of(arguments.network, arguments.batch)))
    if not any(arguments.only in operation for operation in known):
        parser.error(f"--only {arguments.only!r} is in none of {', '.join(known)}")
    if (busy := warning(others_running())) is not None:
        print(f"warning: {busy}", file=sys.stderr)
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
