"""What is written when a number is no longer finite: which images were computed, and where the numbers broke."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpunn.data.dataset import Dataset, Split
from gpunn.data.loading.batch import Batch
from gpunn.durable_files import replace_file
from gpunn.program.specification import Mode
from gpunn.training.learner import Learner
from gpunn.training.run_folder import RunFolder

FILE_NAME = "diverged.json"


@dataclass(frozen=True)
class Suspects:
    """The images that were computed when a number was no longer finite.

    Attributes:
        step: the number of the update, from 1.
        update: reads its passes anew, in order.
        measured: validation batches, where the update was finite and measuring was not; None where the update broke.
    """

    step: int
    update: Callable[[], Iterable[Batch]]
    measured: Iterable[Batch] | None = None


@dataclass(frozen=True)
class Trace:
    """Where the numbers broke.

    Attributes:
        broken: names of the images of the first broken batch whose loss is not finite.
        layers: least, largest and number of not finite values of every layer's output, in order, for that batch.
    """

    broken: list[str]
    layers: list[dict[str, Any]]


def report_divergence(learner: Learner, split: Split, suspects: Suspects, run: RunFolder | None) -> str:
    """Write RUN/diverged.json and say where; nothing is written without a run folder, or when the disk refuses.

    A step that broke was void, so weights, statistics and dropout masks are still those it was computed with.
    """
    if run is None:
        return ""
    path = run.path / FILE_NAME
    if suspects.measured is None:
        trace = trace_batches(learner, suspects.update(), split.train, "train")
    else:
        trace = trace_batches(learner, suspects.measured, split.validation, "evaluate")
    samples = [split.train.name(index) for batch in suspects.update() for index in batch.indices.tolist()]
    report = {"step": suspects.step, "samples": samples, **asdict(trace), "weights": weights(learner)}
    try:
        replace_file(path, [json.dumps(report, indent=1).encode()])
    except OSError as error:
        return f"; the report {path} could not be written: {error.strerror}"
    return f"; the samples and the statistics of every layer are in {path}"


def trace_batches(learner: Learner, batches: Iterable[Batch], dataset: Dataset, mode: Mode) -> Trace:
    """Compute batches again, and show the layers of the first that has a loss which is not finite.

    Where all losses are finite, a gradient or the optimiser's state broke, and the last batch is shown.
    """
    broken: list[str] = []
    shown: Batch | None = None
    start = first = 0
    for batch in filter(len, batches):
        finite = np.isfinite(learner.losses(batch, mode, first=first)).all(axis=0)
        broken = [dataset.name(index) for index in batch.indices[~finite].tolist()]
        shown, start, first = batch, first, first + len(batch)
        if broken:
            break
    return Trace(broken, layer_statistics(learner, shown, mode, start) if shown is not None else [])


def layer_statistics(learner: Learner, batch: Batch, mode: Mode, first: int) -> list[dict[str, Any]]:
    """The least, the largest and the number of not finite values of every layer's output, in order."""
    return [{"name": name, **_extremes(values)} for name, values in learner.inspect(batch, mode, first=first)]


def weights(learner: Learner) -> list[dict[str, Any]]:
    """The same of every parameter."""
    return [{"name": name, **_extremes(values)} for name, values in learner.state.parameters.export().items()]


def _extremes(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    return {
        "minimum": float(finite.min()) if finite.size else None,
        "maximum": float(finite.max()) if finite.size else None,
        "not_finite": int(values.size - finite.size),
    }
