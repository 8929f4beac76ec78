"""May a learner go on from a checkpoint? Everything that must be the same is compared before anything is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.data.dataset import Split, compare_classes
from gpunn.data.names import printable
from gpunn.errors import CheckpointError
from gpunn.training.compatibility import compare_tensors
from gpunn.training.learner import Learner
from gpunn.training.manifest import Manifest
from gpunn.training.plan import Plan
from gpunn.training.run_folder import RunFolder


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


def settings_of(learner: Learner, plan: Plan, decoder: str) -> dict[str, Any]:
    """What a run that was set up in Python depends on besides its network and data, as text to compare."""
    rule = learner.rule
    course = replace(plan, workers=None, checkpoint_seconds=Plan.checkpoint_seconds)
    return {
        "plan": repr(course),
        "rule": {f.name: repr(getattr(rule, f.name)) for f in fields(rule) if f.name != "objectives"} if rule else {},
        "precision": learner.state.precision.name,
        "decoder": decoder,
    }


def require_same_settings(settings: Mapping[str, Any], manifest: Manifest) -> None:
    """Compare what `settings_of` says with what it said when the run began; an earlier version said less.

    Raises:
        CheckpointError: naming what differs.
    """
    changed = [
        f"{name} is {value}, was {manifest.configuration.get(name)}"
        for name, value in settings.items()
        if manifest.configuration.get(name, value) != value
    ]
    if changed:
        raise CheckpointError(
            f"the run has other settings than the checkpoint: {'; '.join(changed)}. Give it the same, or load the "
            "weights into a new run with Learner.state.load"
        )


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
    difference = compare_classes(manifest.classes, split.train.classes, ("the run", "the data set"))
    if difference is not None:
        raise CheckpointError(f"the checkpoint in '{folder}' is not of this data set: the classes differ; {difference}")
    if data_fingerprint is not None and data_fingerprint != manifest.data_fingerprint:
        raise CheckpointError(
            f"the data set ({split.description}) is not the one this run was trained on: images were added, removed "
            "or changed. Restore it, or go on with --allow-changed-data"
        )


def how_to_begin(data: str) -> str:
    """What to do where an image cannot be read before a run has begun."""
    return (
        f"Such images can be left out with --unreadable skip; gpunn data check {shlex.quote(printable(data))} lists "
        "them all"
    )


def how_to_go_on(run: RunFolder) -> str:
    """What to do after a run was ended by its data."""
    if not run.configuration.exists():
        return "mend the data, and go on with Trainer.resume()"
    resume = f"gpunn train --resume {shlex.quote(printable(run.path))}"
    return (
        f"mend the file and go on with {resume}, or leave such images out with {resume} --unreadable skip; add "
        "--allow-changed-data if the file was changed after the run had begun"
    )
