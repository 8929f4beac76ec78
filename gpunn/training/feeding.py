"""From a batch to the arrays that a program reads, checked on the host before any of them is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpunn.data.loading.batch import Batch
from gpunn.errors import DataError, UsageError
from gpunn.graph import describe_shape
from gpunn.losses import Objective
from gpunn.program.call import Buffer
from gpunn.program.program import Program
from gpunn.training.agreement import describe, wrong_label

HostArray = np.ndarray[Any, Any]


def feed(program: Program, batch: Batch) -> None:
    """Give a program what it reads of a batch, and hold the batch until the device has read it.

    Raises:
        UsageError: when the batch lacks a target, or an array has another shape.
        DataError: when a label is none of the classes; the text names the sample.
    """
    given: dict[str, HostArray] = {
        "images": batch.images,
        "labels": batch.labels,
        "placement": batch.placement,
        **batch.targets,
    }
    for buffer in program.inputs:
        _require_shape(buffer, given)
    for objective in program.plan.specification.objectives:
        if objective.loss.target == "labels":
            _require_labels(objective, given[objective.target], batch)
    for buffer in program.inputs:
        # A value that only float64 holds becomes infinite, and its loss is found out as such.
        with np.errstate(over="ignore"):
            program.write(buffer.name, given[buffer.name].astype(buffer.dtype, copy=False))
    batch.hold(program.device.copied())


def _require_shape(buffer: Buffer, given: Mapping[str, HostArray]) -> None:
    if buffer.name not in given:
        raise UsageError(
            f"the batch has no targets {buffer.name!r}, which an objective needs; it has {', '.join(map(repr, given))}"
        )
    shape = given[buffer.name].shape
    if shape != buffer.shape:
        raise UsageError(
            f"the {buffer.name} of a batch have the shape {describe_shape(shape)}; "
            f"this network takes {describe_shape(buffer.shape)}"
        )


def _require_labels(objective: Objective, labels: HostArray, batch: Batch) -> None:
    if labels.dtype.kind not in "iu":
        raise UsageError(f"{describe(objective)} needs whole numbers as {objective.target!r}, got {labels.dtype}")
    wrong = wrong_label(labels, objective.output.shape[0])
    if wrong is not None:
        raise DataError(
            f"sample {batch.indices[wrong]} of the data has label {labels[wrong]} in {objective.target!r}; "
            f"{describe(objective)} knows 0 to {objective.output.shape[0] - 1}"
        )
