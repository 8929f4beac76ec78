"""Everything that a run depends on, checked: what `config.toml` holds and the options of `gpunn train` set."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.data.loading.loader import TIMEOUT, WorkerKind
from gpunn.errors import UsageError
from gpunn.models.recipe import OptimizerName, Recipe
from gpunn.training.augmentation_setting import AugmentationSetting, chosen_augmentation, with_change
from gpunn.training.loader_settings import Policy

_INSIDE_AUGMENTATION = "augmentation."


class Configuration(BaseModel):
    """The settings of one training run; `gpunn.models` has a recipe with defaults for every network.

    Attributes:
        data: "digits", "fashion-mnist", or a path to what `gpunn train --help` lists.
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
        augmentation: what is done to training images: "auto" does what suits the data set, "none" nothing; "digits",
            "photographs" and "alexnet" are others. A table names one of them as `base` and changes attributes of
            gpunn.data.Augmentation, as in {base = "photographs", mixup = 0.2}; `--set augmentation.mixup=0.2` changes
            one, and `gpunn augmentations` lists them.
        oversample: show the images of rare classes several times an epoch, every class as often as the largest.
        validation_fraction: part held out of a folder that has no split of its own.
        keep_empty_classes: let class folders without images keep their index.
        image_size: rows and columns of the network's input, where the network takes any.
        threads: of the CPU device.
        algorithm: of convolutions on the CPU: "direct" rounds least, "winograd" takes fewer products, "auto" is
            whichever should be faster for a layer's shape.
        quarantine: a file of images to leave out, such as `gpunn data check --quarantine` writes.
        decoder: "pillow", "fast" (needs the extra of that name) or "auto"; a run keeps what "auto" was when it began,
            since their pixels differ slightly.
        workers: how many read images.
        worker_kind: "threads", "processes" or "auto".
        data_timeout: seconds after which a read that has not ended ends the run.
        unreadable: what is done about an image that cannot be read: "raise" ends the run; "skip" leaves the image out,
            and its update still divides by the images planned; "quarantine" also writes it into RUN/quarantine.jsonl.
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
    augmentation: AugmentationSetting = "auto"
    oversample: bool = False
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    keep_empty_classes: bool = False
    image_size: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1, le=1024)
    algorithm: ConvolutionAlgorithm = "auto"
    quarantine: str | None = None
    decoder: Literal["auto", "pillow", "fast"] = "auto"
    workers: int | None = Field(None, ge=1, le=1024)
    worker_kind: WorkerKind = "auto"
    data_timeout: float = Field(TIMEOUT, gt=0, allow_inf_nan=False)
    unreadable: Policy = "raise"
    checkpoint_seconds: float = Field(600.0, gt=0, allow_inf_nan=False)

    @field_validator("augmentation")
    @classmethod
    def _require_augmentation(cls, setting: AugmentationSetting) -> AugmentationSetting:
        chosen_augmentation(setting, None)
        return setting


def configure(*sources: Mapping[str, Any], recipe: Recipe | None = None) -> Configuration:
    """The configuration that the sources give, the later ones over the earlier ones, all over the recipe.

    Raises:
        UsageError: for a setting that does not exist or a value that is not allowed; the text names it.
    """
    merged = merge_settings(asdict(recipe) if recipe else {}, *sources)
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


def merge_settings(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """The later sources over the earlier ones; "augmentation.mixup" changes one entry of what came before."""
    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if name.startswith(_INSIDE_AUGMENTATION):
                entry = name.removeprefix(_INSIDE_AUGMENTATION)
                merged["augmentation"] = with_change(merged.get("augmentation"), entry, value)
            else:
                merged[name] = value
    return merged


def begun_with(settings: Mapping[str, Any], *others: Mapping[str, Any]) -> Configuration:
    """The configuration of a run that was begun before, with other settings for the rest of it.

    Runs that do not say how they decode were begun when there was no decoder but Pillow.

    Raises:
        UsageError: as `configure`.
    """
    return configure({"decoder": "pillow"}, settings, *others)


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
