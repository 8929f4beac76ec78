"""Which of several kernels serves a shape best: found once, kept on disk and in checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Literal

from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.graph import Recorder, refuse_while_recording
from gpunn.cache import CacheFiles

#: What comes before the key of a choice in the plan of a device.
PLAN_PREFIX = "tuned/"

_WARM_UP_RUNS = 2
_MEASURED_RUNS = 5

#: Milliseconds of one run of something.
Stopwatch = Callable[[Callable[[], None]], float]
Origin = Literal["checkpoint", "disk", "measured", "first"]


@dataclass(frozen=True)
class Choice:
    """What was chosen for a key.

    Attributes:
        candidate: its name.
        origin: the plan of a checkpoint, the file of an earlier process, a measurement, or the first of the list.
        milliseconds: of every candidate, where they were measured.
    """

    candidate: str
    origin: Origin
    milliseconds: tuple[tuple[str, float], ...] = ()


class TuningFile:
    """The measured choices of one kind of GPU, as JSON in the cache. A damaged file counts as empty."""

    def __init__(self, files: CacheFiles, name: str) -> None:
        self._files = files
        self._name = name

    def read(self) -> dict[str, str]:
        """Candidates by key."""
        try:
            found = json.loads(self._files.read(self._name) or b"{}")
        except (ValueError, RecursionError):
            return {}
        entries = found.items() if isinstance(found, dict) else ()
        return {key: candidate for key, candidate in entries if isinstance(candidate, str)}

    def add(self, key: str, candidate: str) -> None:
        """Keep a choice beside those that are there."""
        choices = {**self.read(), key: candidate}
        self._files.write(self._name, json.dumps(choices, indent=1, sort_keys=True).encode())


class Tuner:
    """Chooses among candidates, the same one at every call with the same key.

    In this order: what a checkpoint's plan says, what the file says, what is measured to be fastest, the first.

    Args:
        architecture: a part of every key; another architecture has other kernels and times.
        stopwatch: how to measure; None never measures.
        file: where measured choices are kept; None keeps none.
    """

    def __init__(self, architecture: str, stopwatch: Stopwatch | None = None, file: TuningFile | None = None) -> None:
        self._prefix = f"{PLAN_PREFIX}{architecture}/"
        self._stopwatch = stopwatch
        self._file = file
        self._kept: dict[str, str] | None = None
        self._adopted: dict[str, str] = {}
        self._choices: dict[str, Choice] = {}

    def choose(self, key: str, candidates: Sequence[str], run: Callable[[str], None]) -> str:
        """The name of the candidate to use.

        Args:
            key: everything that a candidate's time depends on: primitive, geometry, types.
            candidates: names, the one that a rule of thumb prefers first; all give the same result up to rounding.
            run: launches one by its name. It is called many times when there is something to measure, so repeating
                it must do no harm: no gradient may be added up.
        """
        known = self._choices.get(key)
        if known is None or known.candidate not in candidates:
            known = self._choices[key] = self._choice(key, candidates, run)
        return known.candidate

    def adopt(self, plan: Mapping[str, object]) -> None:
        """Use the choices of a checkpoint from now on; entries of other devices are left out."""
        self._adopted = {
            key.removeprefix(self._prefix): candidate
            for key, candidate in plan.items()
            if key.startswith(self._prefix) and isinstance(candidate, str)
        }
        self._choices = {key: Choice(candidate, "checkpoint") for key, candidate in self._adopted.items()}

    def plan(self) -> dict[str, str]:
        """All choices made or adopted, to be kept in a checkpoint."""
        return {self._prefix + key: choice.candidate for key, choice in sorted(self._choices.items())}

    def table(self) -> str:
        """A line for each choice: its key, its name, where it comes from, and the times that were measured."""
        return "\n".join(_line(key, choice) for key, choice in sorted(self._choices.items()))

    def _choice(self, key: str, candidates: Sequence[str], run: Callable[[str], None]) -> Choice:
        kept = self._from_file().get(self._prefix + key)
        if kept in candidates and kept is not None:
            return Choice(kept, "disk")
        if self._stopwatch is None or len(candidates) == 1:
            return Choice(candidates[0], "first")
        times = tuple((name, self._measure(self._stopwatch, partial(run, name))) for name in candidates)
        fastest = min(times, key=lambda entry: entry[1])[0]
        if self._file is not None:
            self._file.add(self._prefix + key, fastest)
        return Choice(fastest, "measured", times)

    def _from_file(self) -> dict[str, str]:
        if self._kept is None:
            self._kept = self._file.read() if self._file is not None else {}
        return self._kept

    @staticmethod
    def _measure(stopwatch: Stopwatch, run: Callable[[], None]) -> float:
        for _ in range(_WARM_UP_RUNS):
            run()
        return median(stopwatch(run) for _ in range(_MEASURED_RUNS))


def _line(key: str, choice: Choice) -> str:
    times = ", ".join(f"{name} {time:.3f} ms" for name, time in choice.milliseconds)
    return f"{key}  {choice.candidate}  {choice.origin}{f'  ({times})' if times else ''}"


def event_stopwatch(gpu: Gpu, recorder: Recorder) -> Stopwatch:
    """Times work on a GPU's stream by two events around it (CUDA Runtime API, event management)."""

    def milliseconds(run: Callable[[], None]) -> float:
        refuse_while_recording(recorder, "times kernels")
        cuda: Any = gpu.cupy.cuda
        with gpu.at_work("timing kernels"):
            begin, end = cuda.Event(), cuda.Event()
            begin.record(gpu.stream)
            run()
            end.record(gpu.stream)
            end.synchronize()
            return float(cuda.get_elapsed_time(begin, end))

    return milliseconds
