"""Contestants and devices that take the time a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpunn.backend.work import Work
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import Subject


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def passing(self, seconds: Sequence[float]) -> Callable[[], None]:
        """Something that takes these seconds, one after another, and the last ones again and again."""
        left = list(seconds)

        def take() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return take


@dataclass
class FakeContestant:
    """Takes `step` seconds for training, `forward` for inference, and one for each of its ceilings."""

    clock: Clock
    device: str
    step: Sequence[float]
    forward: Sequence[float]
    measured: Sequence[Ceilings | None] = (None,)
    threads: int | None = None
    name: str = "a chip"
    mean_loss: float = 1.0
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.training = self._subject("training", self.step)
        self.inference = self._subject("inference", self.forward)
        self._ceilings: Iterator[Ceilings | None] = iter(self.measured)
        self._last: Ceilings | None = None
        self.versions: Mapping[str, str] = {self.device: "1.0"}

    def loss(self) -> float:
        return self.mean_loss

    def sample_layers(self) -> None:
        self.events.append("layers")

    def layers(self, ceilings: Ceilings | None) -> tuple[LayerTimes, ...]:
        count = self.events.count("layers")
        return (LayerTimes("conv1", "conv", count, 0.0, 0, 0, 0, "", None),) if count else ()

    def ceilings(self) -> Ceilings | None:
        self.events.append("ceilings")
        self._last = next(self._ceilings, self._last)
        return self._last

    def close(self) -> None:
        self.events.append("closed")

    def _subject(self, name: str, seconds: Sequence[float]) -> Subject:
        passing = self.clock.passing(seconds)

        def call() -> None:
            self.events.append(name)
            passing()

        return Subject(call, lambda: None)


@dataclass
class ScriptedDevice:
    """Carries steps out, and says that they took what stands in the script, one line a time."""

    script: list[list[float]]
    works: list[Work]

    def timed(self, steps: Sequence[Callable[[], object]]) -> list[float]:
        for step in steps:
            step()
        return self.script.pop(0)

    def observe(self, run: Callable[[], None]) -> Work:
        run()
        return self.works.pop(0)
