"""One network on both sides in one process, and its memory in two others."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from benchmarks.cpu.layers import LayerPair, beside
from benchmarks.cpu.others import others_running, warning
from benchmarks.cpu.pairs import Pairs, Rounds
from benchmarks.cpu.peak_memory import PeakMemory, Side, peak_memory
from benchmarks.cpu.task import Case
from gpunn.cores import available_cores
from gpunn.timing.contestant import Contestant
from gpunn.timing.opening import open_sides
from gpunn.timing.pytorch.openmp import end_idle_threads
from gpunn.timing.stopwatch import times_of

#: Rounds of a run, each a training step and a forward pass of both sides; batches that take long get the fewest.
FEWEST, MOST = 5, 60
LAYER_ROUNDS = 5
#: Quartiles further apart than this, one over the other, leave a median in doubt.
SPREAD = 1.5


@dataclass(frozen=True)
class Extent:
    """What of a case is measured, and for how long.

    Attributes:
        seconds: of training, and half of it of inference, warm-up not counted, where the fewest rounds take no longer.
        layers: whether each layer is timed.
        memory: whether peak memory is measured.
        idle_threads: "ended" where PyTorch's threads that wait for work end before gpunn's turn, and begin anew before
            PyTorch's; "left" where they look for work beside gpunn for some milliseconds.
    """

    seconds: float = 30.0
    layers: bool = False
    memory: bool = True
    idle_threads: Literal["ended", "left"] = "ended"


@dataclass(frozen=True)
class Comparison:
    """What was found. A ratio is gpunn's over PyTorch's, below 1 where gpunn takes less.

    Attributes:
        training_ratio: median time of a training step over the median of PyTorch's; a step takes uint8 pictures,
            normalises them, and ends with new weights (forward, backward, SGD with momentum and weight decay).
        training_ratio_spread: lowest and highest of the pairs.
        training_ratio_quartiles: between which the middle half of the pairs lies.
        inference_ratio: the same of a forward pass.
        training_ms: of both sides: median, lowest and highest sample.
        peak_memory_ratio: of the whole processes during two steps; None where it was not measured.
        peak_memory_growth_ratio: the same without what the imports took.
        peak_memory_bytes: what the two ratios are made of.
        loss_difference: relative difference of the losses before training, in evaluation mode: dropout differs.
        layers: rows of the step; empty where they were not asked for.
        others_running: threads of other processes that wanted to run before it measured; None where nobody knows.
        warnings: why figures are not worth comparing; none where nothing speaks against it.
        date: in UTC.
    """

    network: str
    batch: int
    threads: int
    algorithm: str
    training_ratio: float
    training_ratio_spread: tuple[float, float]
    training_ratio_quartiles: tuple[float, float]
    inference_ratio: float
    inference_ratio_spread: tuple[float, float]
    inference_ratio_quartiles: tuple[float, float]
    gpunn_images_per_second: float
    pytorch_images_per_second: float
    gpunn_inference_images_per_second: float
    pytorch_inference_images_per_second: float
    training_ms: dict[str, Any]
    inference_ms: dict[str, Any]
    peak_memory_ratio: float | None
    peak_memory_growth_ratio: float | None
    peak_memory_bytes: dict[Side, PeakMemory] | None
    loss_difference: float
    rounds: int
    idle_threads: str
    layers: tuple[LayerPair, ...]
    machine: str
    cores: tuple[int, ...]
    others_running: float | None
    warnings: tuple[str, ...]
    versions: dict[str, str]
    date: str

    def as_json(self) -> dict[str, Any]:
        """The same, for json.dumps; rows of layers only where there are some."""
        document = asdict(self)
        if not self.layers:
            del document["layers"]
        return document


def compare(case: Case, extent: Extent) -> Comparison:
    """Time both sides in turn, then measure the memory of each.

    Raises:
        UsageError: when PyTorch is not installed, or has no counterpart of the network.
        MemoryExhaustedError: when the network does not fit.
    """
    others = others_running()
    settle = end_idle_threads if extent.idle_threads == "ended" else _nothing
    with open_sides(case.task, ("cpu",), case.threads, with_pytorch=True) as sides:
        ours, theirs = sides.contestants
        loss_difference = abs(ours.loss() / theirs.loss() - 1)
        training = Rounds(FEWEST, MOST, extent.seconds, settle).take(ours.training, theirs.training)
        inference = Rounds(FEWEST, MOST, extent.seconds / 2, settle).take(ours.inference, theirs.inference)
        layers = _layers(ours, theirs, settle) if extent.layers else ()
        machine, versions, cores = ours.name, {**ours.versions, **theirs.versions}, sides.cores
    memory: dict[Side, PeakMemory] | None = None
    if extent.memory:
        memory = {"gpunn": peak_memory(case, "gpunn"), "pytorch": peak_memory(case, "pytorch")}
    return Comparison(
        **asdict(case),
        training_ratio=training.ratio,
        training_ratio_spread=training.spread,
        training_ratio_quartiles=training.quartiles,
        inference_ratio=inference.ratio,
        inference_ratio_spread=inference.spread,
        inference_ratio_quartiles=inference.quartiles,
        gpunn_images_per_second=case.batch / median(training.ours),
        pytorch_images_per_second=case.batch / median(training.theirs),
        gpunn_inference_images_per_second=case.batch / median(inference.ours),
        pytorch_inference_images_per_second=case.batch / median(inference.theirs),
        training_ms=_milliseconds(training),
        inference_ms=_milliseconds(inference),
        peak_memory_ratio=memory["gpunn"].peak / memory["pytorch"].peak if memory else None,
        peak_memory_growth_ratio=memory["gpunn"].growth / memory["pytorch"].growth if memory else None,
        peak_memory_bytes=memory,
        loss_difference=loss_difference,
        rounds=len(training.ours),
        idle_threads=extent.idle_threads,
        layers=layers,
        machine=machine,
        cores=cores,
        others_running=others,
        warnings=tuple(_warnings(case.threads, others, {"training": training, "inference": inference})),
        versions=versions,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _warnings(threads: int, others: float | None, measured: Mapping[str, Pairs]) -> Iterator[str]:
    if threads > available_cores():
        yield f"{threads} threads of each side shared {available_cores()} cores: ask for no more than there are"
    if (busy := warning(others)) is not None:
        yield busy
    for kind, pairs in measured.items():
        low, high = pairs.quartiles
        if high > SPREAD * low:
            yield f"the middle half of {kind}'s ratios lies from {low:.2f} to {high:.2f}: the machine had moods"


def in_words(found: Comparison) -> str:
    """Lines for people."""
    low, high = found.training_ratio_spread
    inference_low, inference_high = found.inference_ratio_spread
    lines = [
        f"{found.network}, batch {found.batch}, {found.threads} thread{'s' * (found.threads != 1)}, {found.algorithm}: "
        f"gpunn {found.gpunn_images_per_second:,.4g} and PyTorch {found.pytorch_images_per_second:,.4g} images/s",
        f"time ratio of a training step {found.training_ratio:.2f} ({low:.2f} to {high:.2f}), of inference "
        f"{found.inference_ratio:.2f} ({inference_low:.2f} to {inference_high:.2f}); losses differ by "
        f"{found.loss_difference:.0e}",
    ]
    if found.peak_memory_bytes is not None:
        sides = " and ".join(f"{side} {held.peak / 1e6:,.0f} MB" for side, held in found.peak_memory_bytes.items())
        lines.append(
            f"peak memory of a step: {sides}, ratio {found.peak_memory_ratio:.2f}; "
            f"{found.peak_memory_growth_ratio:.2f} without the libraries"
        )
    return "\n".join([*lines, *(f"warning: {told}" for told in found.warnings)])


def _layers(ours: Contestant, theirs: Contestant, settle: Callable[[], object]) -> tuple[LayerPair, ...]:
    for done in range(LAYER_ROUNDS):
        for side in (ours, theirs) if done % 2 == 0 else (theirs, ours):
            settle()
            side.sample_layers()
    return beside(ours.layers(None), theirs.layers(None))


def _milliseconds(pairs: Pairs) -> dict[str, Any]:
    return {"gpunn": asdict(times_of(pairs.ours)), "pytorch": asdict(times_of(pairs.theirs))}


def _nothing() -> None:
    """Leave all as it is."""
