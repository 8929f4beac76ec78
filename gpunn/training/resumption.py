"""May a learner go on from a checkpoint? Everything that must be the same is compared before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.data.dataset import Split
from gpunn.errors import CheckpointError
from gpunn.training.compatibility import compare_tensors
from gpunn.training.learner import Learner
from gpunn.training.manifest import Manifest


def fingerprint(split: Split) -> str:
    """What both halves of the data are recognised by on resume."""
    return f"{split.train.fingerprint()}:{split.validation.fingerprint()}"


def require_same_tensors(learner: Learner, tensors: Mapping[str, np.ndarray[Any, Any]], folder: Path) -> None:
    """Compare names and shapes with those of the learner's state.

    Raises:
        CheckpointError: with a table of the differences.
    """
    found = {name: tuple(values.shape) for name, values in tensors.items()}
    table = compare_tensors(learner.state.expected(), found)
    if table is not None:
        raise CheckpointError(f"the checkpoint in '{folder}' does not fit network {learner.network.name!r}:\n{table}")


def compare_classes(run: Sequence[str], data: Sequence[str]) -> str | None:
    """How the classes of a run and of a data set differ, or None when they are the same in the same order."""
    if list(run) == list(data):
        return None
    differences = [
        f"{where} has {', '.join(map(repr, names))}"
        for where, names in (
            ("only the run", [name for name in run if name not in set(data)]),
            ("only the data set", [name for name in data if name not in set(run)]),
        )
        if names
    ]
    return f"the classes differ: {'; '.join(differences) or 'they are the same in another order'}"


def require_same_run(
    learner: Learner,
    split: Split,
    data_fingerprint: str | None,
    tensors: Mapping[str, np.ndarray[Any, Any]],
    manifest: Manifest,
    folder: Path,
) -> None:
    """Compare a checkpoint with the run that is to go on from it.

    Args:
        learner: of the run.
        split: of the run.
        data_fingerprint: of the split; None goes on with other images of the same classes.
        tensors: of the checkpoint.
        manifest: of the checkpoint.
        folder: where it lies, for messages.

    Raises:
        CheckpointError: when the network, the classes or the data set are not those of the checkpoint.
    """
    require_same_tensors(learner, tensors, folder)
    difference = compare_classes(manifest.classes, split.train.classes)
    if difference is not None:
        raise CheckpointError(f"the checkpoint in '{folder}' is not of this data set: {difference}")
    if data_fingerprint is not None and data_fingerprint != manifest.data_fingerprint:
        raise CheckpointError(
            f"the data set ({split.description}) is not the one this run was trained on: images were added, removed "
            "or changed. Restore it, or go on with --allow-changed-data"
        )
