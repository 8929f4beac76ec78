"""Do network, objectives, preprocessing and data fit together? Asked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpunn.data.dataset import Dataset, Split
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.targets import RESERVED_NAMES, SOFT_LABELS
from gpunn.errors import DataError, UsageError
from gpunn.graph import describe_shape
from gpunn.losses import Objective
from gpunn.network import Network


def require_same_image(network: Network, preprocessing: Preprocessing) -> None:
    """Compare the images that a network takes with those it is given.

    Raises:
        UsageError: naming both sizes.
    """
    made = (preprocessing.height, preprocessing.width, preprocessing.channels)
    if network.image.shape != made:
        raise UsageError(
            f"network '{network.name}' takes images of {describe_shape(network.image.shape)}, and the preprocessing "
            f"makes {describe_shape(made)}; make it with adapt(..., {network.image.shape}, ...), or build the network "
            "for those images"
        )


def require_same_preprocessing(of_learner: Preprocessing, of_trainer: Preprocessing) -> None:
    """Images are loaded by one and normalised by the other, and the checkpoint keeps one.

    Raises:
        UsageError: naming both.
    """
    if of_learner != of_trainer:
        raise UsageError(
            f"the learner was made with {of_learner}, the trainer with {of_trainer}; give both the same preprocessing"
        )


def require_target_names(objectives: Sequence[Objective]) -> None:
    """Class labels are called "labels"; values need a name that a batch has not used otherwise.

    Raises:
        UsageError: naming the objective.
    """
    for objective in objectives:
        of_labels = objective.loss.target == "labels" and objective.target == "labels"
        if objective.target in RESERVED_NAMES and not of_labels:
            raise UsageError(
                f"{describe(objective)} is compared with values, and {objective.target!r} are none; name them, such as "
                "Objective(output, loss, target='values'), and give the data set targets={'values': ...}"
            )


def require_data(objectives: Sequence[Objective], split: Split) -> None:
    """Compare what the objectives need with what both halves of the data have, soft labels left out.

    Raises:
        UsageError: when a target is missing or has another shape, or there are more classes than outputs.
        DataError: when a label is none of the output's classes; the text names the sample.
    """
    for half, dataset in (("training", split.train), ("validation", split.validation)):
        for objective in objectives:
            source = f"{split.description}, {half} images"
            if objective.target == "labels":
                _require_labels(objective, dataset, source)
            elif objective.target != SOFT_LABELS:
                _require_target(objective, dataset, source)


def require_soft_labels(objectives: Sequence[Objective], split: Split, *, mixes: bool) -> None:
    """Compare what the objectives need with what a loader makes of class labels when images are mixed.

    Raises:
        UsageError: when images are mixed and an objective takes whole labels; when soft labels are asked for and no
            images are mixed; when there are other numbers of classes and outputs.
        DataError: when a label is none of the output's classes; the text names the sample.
    """
    for objective in objectives:
        takes_soft_labels = objective.target == SOFT_LABELS
        if mixes and not takes_soft_labels:
            raise UsageError(
                f"images are mixed, and {describe(objective)} is compared with {objective.target!r}; give the learner "
                "Rule(optimizer, objectives=soft_label_objectives(network))"
            )
        if takes_soft_labels and not mixes:
            raise UsageError(
                f"{describe(objective)} is compared with {SOFT_LABELS!r}, which only mixup and cutmix make; give the "
                "trainer an augmentation that has one of them, or the objective another target"
            )
        if mixes and objective.output.shape[0] != len(split.train.classes):
            raise UsageError(
                f"{describe(objective)} has {objective.output.shape[0]} outputs, and soft labels are of "
                f"{len(split.train.classes)} classes; build the network with as many"
            )
    if mixes:
        for half, dataset in (("training", split.train), ("validation", split.validation)):
            _require_range(objectives[0], dataset, dataset.labels, f"{split.description}, {half} images")


def wrong_label(labels: np.ndarray[Any, Any], classes: int) -> int | None:
    """The place of the first label outside 0 to classes - 1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    return int(wrong[0]) if wrong.size else None


def describe(objective: Objective) -> str:
    """ "SquaredError of 'fc2'"."""
    return f"{type(objective.loss).__name__} of '{objective.output.name}'"


def _require_labels(objective: Objective, dataset: Dataset, source: str) -> None:
    classes, outputs = len(dataset.classes), objective.output.shape[0]
    if classes == 0:
        raise UsageError(f"{source}: {describe(objective)} needs class labels, and the data have {_held(dataset)}")
    if classes > outputs:
        raise UsageError(
            f"{source}: there are {classes} classes, and {describe(objective)} tells {outputs} apart; "
            f"build the network with {classes} outputs"
        )
    _require_range(objective, dataset, dataset.labels, source)


def _require_target(objective: Objective, dataset: Dataset, source: str) -> None:
    of_labels = objective.loss.target == "labels"
    shape = () if of_labels else objective.output.shape
    values = dataset.targets.get(objective.target)
    fits = values is not None and values.shape[1:] == shape and (not of_labels or values.dtype.kind in "iu")
    if values is None or not fits:
        need = "one whole number" if of_labels else describe_shape(shape) + " numbers"
        raise UsageError(
            f"{source}: {describe(objective)} needs targets {objective.target!r} of {need} an image, "
            f"and the data have {_held(dataset)}"
        )
    if of_labels:
        _require_range(objective, dataset, values, source)


def _require_range(objective: Objective, dataset: Dataset, labels: np.ndarray[Any, Any], source: str) -> None:
    outputs = objective.output.shape[0]
    wrong = wrong_label(labels, outputs)
    if wrong is not None:
        raise DataError(
            f"{source}: {dataset.name(wrong)} has label {labels[wrong]} in {objective.target!r}; "
            f"{describe(objective)} knows 0 to {outputs - 1}"
        )


def _held(dataset: Dataset) -> str:
    """What a data set has to compare outputs with."""
    held = [f"labels of {len(dataset.classes)} classes"] if dataset.classes else []
    for name, values in dataset.targets.items():
        held.append(f"targets {name!r} of {describe_shape(values.shape[1:]) or 'one'} {values.dtype} an image")
    return ", ".join(held)
