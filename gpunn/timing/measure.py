"""All sides of a comparison in turn, for as long as it was asked for, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from gpunn.timing.contestant import Contestant, Task
from gpunn.timing.report import Ceilings, DeviceTimes, Load, TimingReport
from gpunn.timing.stopwatch import Series

#: Rounds of samples: with fewer there is no spread to speak of, and more hardly narrow it.
FEWEST_ROUNDS, MOST_ROUNDS = 3, 200

#: What is told of the progress: rounds that are done, and rounds in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Extent:
    """What is measured, and for how long.

    Attributes:
        seconds: about what the rounds take together; the warm-up before them, which compiles and tunes, comes on top.
        layers: whether each layer is timed too.
    """

    seconds: float
    layers: bool


def measure(
    task: Task,
    contestants: Sequence[Contestant],
    extent: Extent,
    progress: Progress,
    cores: tuple[int, ...] = (),
    load: Load | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TimingReport:
    """Time every side, all of them once in each round.

    Args:
        task: what the sides compute.
        contestants: the sides.
        extent: what of it is timed.
        progress: is told of every round.
        cores: that the threads are kept on.
        load: of the machine before it measured.
        clock: seconds; a test has its own.
    """
    sides = [_Side(contestant, extent.layers) for contestant in contestants]
    begun = clock()
    rounds, done = FEWEST_ROUNDS, 0
    while done < rounds:
        for side in sides:
            side.take(layers_first=done % 2 == 1)
        done += 1
        a_round = (clock() - begun) / done
        rounds = max(FEWEST_ROUNDS, int(min(MOST_ROUNDS, extent.seconds / max(a_round, 1e-9))))
        progress(done, max(done, rounds))
    versions = {name: version for side in sides for name, version in side.contestant.versions.items()}
    return TimingReport(
        model=task.model.name,
        batch=task.batch,
        precision=task.precision,
        devices=tuple(side.times(task.batch, cores) for side in sides),
        versions=versions,
        algorithm=task.algorithm,
        load=load,
    )


@dataclass
class _Side:
    """A contestant and its samples."""

    contestant: Contestant
    layers: bool
    ceilings: list[Ceilings] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._training = Series(self.contestant.training)
        self._inference = Series(self.contestant.inference)
        # What is compiled, tuned or allocated first belongs to no round.
        if self.layers:
            self.contestant.sample_layers()
        self.contestant.ceilings()

    def take(self, layers_first: bool) -> None:
        """One sample of everything; whole steps and layers follow each other, sometimes one first, sometimes the
        other: what changes from one moment to the next changes both."""
        ceilings = self.contestant.ceilings()
        if ceilings is not None:
            self.ceilings.append(ceilings)
        self._inference.take()
        samples = [self._training.take]
        if self.layers:
            samples.insert(0 if layers_first else 1, self.contestant.sample_layers)
        for sample in samples:
            sample()

    def times(self, batch: int, cores: tuple[int, ...]) -> DeviceTimes:
        """Of all samples."""
        step, inference = self._training.times(), self._inference.times()
        ceilings = _usual(self.ceilings)
        threads = self.contestant.threads
        return DeviceTimes(
            device=self.contestant.device,
            name=self.contestant.name,
            threads=threads,
            training_images_per_second=1000 * batch / step.median,
            inference_images_per_second=1000 * batch / inference.median,
            step_ms=step,
            inference_ms=inference,
            ceilings=ceilings,
            layers=self.contestant.layers(ceilings),
            cores=cores if threads is not None else (),
        )


def _usual(measured: Sequence[Ceilings]) -> Ceilings | None:
    """The medians."""
    if not measured:
        return None
    return Ceilings(
        flops=median(one.flops for one in measured),
        bytes_per_second=median(one.bytes_per_second for one in measured),
        product=measured[-1].product,
    )
