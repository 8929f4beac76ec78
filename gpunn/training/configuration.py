"""Everything that a run depends on, checked: what `config.toml` holds and the options of `gpunn train` set."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gpunn.errors import UsageError
from gpunn.models.recipe import OptimizerName, Recipe


class Configuration(BaseModel):
    """The settings of one training run; `gpunn.models` has a recipe with defaults for every network.

    Attributes:
        data: "digits", a folder of class folders, or an .npz file.
        model: a name from `gpunn models`.
        device: "auto", "cpu", "cuda", "cuda:1", "emulator" or "emulator:check".
        precision: "float32"; "float64" on the CPU; "tf32", "bfloat16" or "float16" on CUDA and the emulator.
        epochs: how often every training image is seen.
        batch_size: images in one pass through the network.
        accumulate: passes whose gradients are added up to one update.
        optimizer: the rule of the update.
        learning_rate: before the schedule.
        momentum: of SGD.
        momentum_style: "classic", "ema" or "nesterov".
        weight_decay: L2 on weights, not on biases and normalisation.
        l1: strength of an L1 penalty on the same weights.
        schedule: how the learning rate changes, such as "cosine" or "warmup:2,step:30,0.1".
        label_smoothing: part of the target spread over all classes.
        reduction: "mean" or "sum" of the loss over the images of an update.
        clip_norm: the largest norm of all gradients together.
        seed: of weights, order, augmentation and dropout.
        patience: epochs without a better validation accuracy that end the run.
        augmentation: what is done to training images; "auto" does what suits the data set.
        validation_fraction: part held out of a folder that has no split of its own.
        keep_empty_classes: let class folders without images keep their index.
        image_size: rows and columns of the network's input, where the network takes any.
        threads: of the CPU device.
        workers: threads that load images.
        checkpoint_seconds: the longest time between two checkpoints; every epoch ends with one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    data: str = "digits"
    model: str = "lenet"
    device: str = "auto"
    precision: str = "float32"
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(64, ge=1)
    accumulate: int = Field(1, ge=1)
    optimizer: OptimizerName = "sgd"
    learning_rate: float = Field(0.01, gt=0, allow_inf_nan=False)
    momentum: float = Field(0.9, ge=0, lt=1)
    momentum_style: Literal["classic", "ema", "nesterov"] = "classic"
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False)
    l1: float = Field(0.0, ge=0, allow_inf_nan=False)
    schedule: str = "constant"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    reduction: Literal["mean", "sum"] = "mean"
    clip_norm: float | None = Field(None, gt=0, allow_inf_nan=False)
    seed: int = Field(0, ge=0, lt=2**63)
    patience: int | None = Field(None, ge=1)
    augmentation: Literal["auto", "none", "digits", "photographs"] = "auto"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    keep_empty_classes: bool = False
    image_size: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1, le=1024)
    workers: int | None = Field(None, ge=1, le=1024)
    checkpoint_seconds: float = Field(600.0, gt=0, allow_inf_nan=False)


def configure(*sources: Mapping[str, Any], recipe: Recipe | None = None) -> Configuration:
    """The configuration that the sources give, the later ones over the earlier ones, all over the recipe.

    Raises:
        UsageError: for a setting that does not exist or a value that is not allowed; the text names it.
    """
    merged: dict[str, Any] = asdict(recipe) if recipe else {}
    for source in sources:
        merged.update(source)
    known = Configuration.model_fields
    for name in merged:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"there is no setting {name!r}; {hint}")
    try:
        return Configuration(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name} is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """What `--set key=value` means: the value as TOML reads it, else as text.

    Raises:
        UsageError: for an assignment without "=".
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {assignment!r} is not of the form key=value, such as --set momentum=0.95")
        try:
            read = tomllib.loads(f"value = {text}")
        except tomllib.TOMLDecodeError:
            read = {"value": text}
        settings[name.strip()] = read["value"] if len(read) == 1 else text
    return settings
