"""Times that somebody measured, beside the floors they are to be held against.

Two kinds of JSON files hold such times: `gpunn time --json` writes those of layers, `python -m benchmarks.gpu` those of
calls.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpunn.errors import UsageError
from gpunn.explaining.explanation import OUTSIDE, ExplainedCall, Explanation, rows_of
from gpunn.timing.report import Ceilings

#: Where the benchmark of this repository writes, from the folder it is started in.
RESULTS = Path("benchmarks/results")

#: How `gpunn time` calls the devices of another library.
_PEER = "pytorch"
#: Of the algorithms for convolutions on the CPU, the one that is explained.
_OWN_CHOICE = "auto"


@dataclass(frozen=True)
class Wanted:
    """What times must be of.

    Attributes:
        word: that the name of the hardware holds, such as "H100"; "cpu" for the device of that name.
    """

    model: str
    batch: int
    precision: str
    word: str

    def is_device(self, *names: object) -> bool:
        """Whether the hardware is called so."""
        return any(self.word.lower() in str(name).lower() for name in names)

    def __str__(self) -> str:
        return f"{self.model} with batch {self.batch} in {self.precision} on {self.word}"


@dataclass(frozen=True)
class Measured:
    """What a file says.

    Attributes:
        source: the file, and the device as it calls it.
        calls: milliseconds by layer, phase and primitive, one for each such call in its order.
        layers: milliseconds by row and phase.
        step_ms: of a whole step; None where it was not measured.
        ceilings: of the device in the same run; None where they were not measured.
    """

    source: str
    calls: Mapping[tuple[str, str, str], Sequence[float]]
    layers: Mapping[tuple[str, str], float]
    step_ms: float | None
    ceilings: Ceilings | None = None


def read_measured(path: Path, wanted: Wanted) -> Measured:
    """The times of a file.

    Raises:
        UsageError: when it cannot be read, is of neither kind, or has none of what is wanted.
    """
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--results {path} cannot be read as JSON ({error})") from None
    try:
        measured = _read(found, wanted, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(
            f"--results {path} is neither of gpunn time --json nor of python -m benchmarks.gpu ({error!r})"
        ) from None
    if measured is None:
        raise UsageError(f"--results {path} has no times of {wanted}")
    return measured


def newest_measured(wanted: Wanted, folder: Path = RESULTS) -> Measured | None:
    """The times of the newest file of a folder that has some of what is wanted; None without one."""
    for path in sorted(folder.glob("gpu-*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return read_measured(path, wanted)
        except UsageError:
            continue
    return None


def with_measured(explanation: Explanation, measured: Measured) -> Explanation:
    """An explanation beside the times of each call, or of each layer where only those are known."""
    queues = {key: iter(times) for key, times in measured.calls.items()}
    calls = [_with_time(call, queues) for call in explanation.calls]
    rows = [
        replace(row, measured_ms=row.measured_ms if measured.calls else measured.layers.get((row.layer, row.phase)))
        for row in rows_of(calls)
    ]
    return replace(explanation, rows=tuple(rows), measured=measured.source, measured_step_ms=measured.step_ms)


def _with_time(call: ExplainedCall, queues: Mapping[tuple[str, str, str], Iterator[float]]) -> ExplainedCall:
    times = queues.get((call.layer, call.phase, call.primitive))
    return call if times is None else replace(call, measured_ms=next(times, None))


def _read(found: Any, wanted: Wanted, path: Path) -> Measured | None:
    return _of_timing(found, wanted, path) if "devices" in found else _of_benchmark(found, wanted, path)


def _of_timing(found: Any, wanted: Wanted, path: Path) -> Measured | None:
    """A report of gpunn.timing."""
    if (found["model"], found["batch"], found["precision"]) != (wanted.model, wanted.batch, wanted.precision):
        return None
    if wanted.word == "cpu" and found.get("algorithm", _OWN_CHOICE) != _OWN_CHOICE:
        return None
    for device in found["devices"]:
        if device["device"].startswith(_PEER) or not wanted.is_device(device["device"], device["name"]):
            continue
        layers = {key: time for layer in device["layers"] for key, time in _phases(layer) if time > 0}
        ceilings = Ceilings(**device["ceilings"]) if device.get("ceilings") else None
        return Measured(f"{path}, {device['name']}", {}, layers, float(device["step_ms"]["median"]), ceilings)
    return None


def _phases(layer: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], float]]:
    name, forward, backward = layer["name"], float(layer["forward_ms"]), float(layer["backward_ms"])
    if name in OUTSIDE:
        yield (name, OUTSIDE[name]), forward + backward
    else:
        yield (name, "forward"), forward
        yield (name, "backward"), backward


def _of_benchmark(found: Any, wanted: Wanted, path: Path) -> Measured | None:
    """A result of benchmarks.gpu."""
    environment = found["environment"]
    name = (environment["gpu"] or {"name": environment["device"]})["name"]
    batches = {stage["batch"] for title, stage in found.items() if title.startswith("steps of ") and "batch" in stage}
    entries = found.get(f"layers of {wanted.model} in {wanted.precision}")
    if not wanted.is_device(name) or batches != {wanted.batch} or not isinstance(entries, list):
        return None
    calls: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for entry in entries:
        calls[entry["layer"], entry["phase"], entry["call"]].append(float(entry["gpunn_ms"]["median"]))
    step = found.get(f"steps of {wanted.model} in {wanted.precision}", {}).get("milliseconds", {}).get("gpunn")
    return Measured(f"{path}, {name}", calls, {}, float(step["median"]) if step else None)
