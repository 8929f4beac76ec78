"""What is written when a loss is no longer finite: which images were in that step, and where the numbers broke."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gpunn.data.loader import Batch
from gpunn.training.durable_files import replace_file
from gpunn.training.learner import Learner
from gpunn.training.run_folder import RunFolder

FILE_NAME = "diverged.json"


def report_divergence(learner: Learner, batch: Batch, step: int, samples: list[str], run: RunFolder | None) -> str:
    """Write RUN/diverged.json and say where; nothing is written without a run folder, or when the disk refuses.

    The last batch is run forward once more with every layer's output kept; it is one of the step's batches.
    """
    if run is None:
        return ""
    path = run.path / FILE_NAME
    report = {"step": step, "samples": samples, "layers": layer_statistics(learner, batch), "weights": weights(learner)}
    try:
        replace_file(path, [json.dumps(report, indent=1).encode()])
    except OSError as error:
        return f"; the report {path} could not be written: {error.strerror}"
    return f"; the samples and the statistics of every layer are in {path}"


def layer_statistics(learner: Learner, batch: Batch) -> list[dict[str, Any]]:
    """The least, the largest and the number of not finite values of every layer's output, in order."""
    return [{"name": name, **_extremes(values)} for name, values in learner.inspect(batch)]


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
