"""From a configuration, or from the folder of a run, to a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpunn.backend.attributes import Penalty
from gpunn.data.augmenting.words import describe_augmentation
from gpunn.data.checking.quarantine import read_quarantine, without_quarantined
from gpunn.data.dataset import Split
from gpunn.data.decoding.by_name import decoder
from gpunn.data.oversampling import with_oversampling
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.opening import is_named, open_data, suggested_settings
from gpunn.errors import CheckpointError, DataError, UsageError
from gpunn.models import model
from gpunn.optimizers import LEARNING_RATES, optimizer
from gpunn.precision import precision
from gpunn.training.augmenting import augmentation_of, with_measured_light, with_soft_labels
from gpunn.training.checkpoint_file import UnreadableCheckpointError, read_manifest
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.configuration import Configuration, begun_with, configure, merge_settings
from gpunn.training.devices import check_precision, open_device, precision_to_resume
from gpunn.training.extension import how_to_extend, is_extension, require_extension, require_patience, schedule_of
from gpunn.training.fitting import adaptation_lines, fit_network, readable_sample
from gpunn.training.learner import Learner
from gpunn.training.loader_settings import LoaderSettings
from gpunn.training.manifest import Manifest
from gpunn.training.observer import Observer
from gpunn.training.plan import Plan
from gpunn.training.resumption import how_to_begin
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder, require_unused
from gpunn.training.trained_run import build_network, planned_threads
from gpunn.training.trainer import Trainer

#: Settings that do not change what a run computes; data sets are compared by what they hold.
_FREE_TO_CHANGE = (
    *("data", "quarantine", "device", "threads", "checkpoint_seconds"),
    *("workers", "worker_kind", "data_timeout", "unreadable"),
)


def with_recipe(*sources: Mapping[str, Any]) -> Configuration:
    """The configuration of some settings over what suits the data set they name, over the recipe of their model.

    An optimiser other than the recipe's starts at its own usual learning rate instead of the recipe's.
    """
    named = configure(*sources)
    chosen = model(named.model)
    merged = merge_settings(*sources)
    if named.optimizer != chosen.recipe.optimizer and "optimizer" in merged and "learning_rate" not in merged:
        merged["learning_rate"] = LEARNING_RATES[named.optimizer]
    return configure(suggested_settings(named.data), merged, recipe=chosen.recipe)


def rule_of(configuration: Configuration) -> Rule:
    """How a learner with that configuration learns."""
    return Rule(
        optimizer=optimizer(
            configuration.optimizer, configuration.weight_decay, configuration.momentum, configuration.momentum_style
        ),
        smoothing=configuration.label_smoothing,
        reduction=configuration.reduction,
        clip_norm=configuration.clip_norm,
        penalties=(Penalty(1.0, configuration.l1),) if configuration.l1 else (),
        seed=configuration.seed,
    )


def open_split(configuration: Configuration) -> Split:
    """The data of a configuration, without those of its quarantine, and oversampled if it says so."""
    split = open_data(
        configuration.data,
        seed=configuration.seed,
        validation_fraction=configuration.validation_fraction,
        keep_empty_classes=configuration.keep_empty_classes,
    )
    if configuration.quarantine is not None:
        split = without_quarantined(split, read_quarantine(Path(configuration.quarantine)))
    return with_oversampling(split) if configuration.oversample else split


def with_absolute_data(configuration: Configuration) -> Configuration:
    """The same configuration, its data named so that they are found from any folder."""
    paths = {"quarantine": configuration.quarantine}
    if not is_named(configuration.data):
        paths["data"] = configuration.data
    found = {name: Path(path).expanduser() for name, path in paths.items() if path is not None}
    absolute = {name: str(path.absolute()) for name, path in found.items() if path.exists()}
    return configuration.model_copy(update=absolute)


def with_chosen_decoder(configuration: Configuration) -> Configuration:
    """The same configuration, in which "auto" has become a decoder.

    Raises:
        UsageError: when the decoder is not installed.
    """
    return configuration.model_copy(update={"decoder": decoder(configuration.decoder).name})


def new_run(configuration: Configuration, out: Path | None, observer: Observer) -> Trainer:
    """A trainer for a run that begins.

    Settings and data are checked before a device is opened; the folder is made last, and goes away again when the
    device has not the memory.
    """
    if out is not None:
        require_unused(out)
    configuration = with_chosen_decoder(with_absolute_data(configuration))
    chosen = model(configuration.model)
    precision(configuration.precision)
    schedule_of(configuration)
    split = open_split(configuration)
    measured = split.train if configuration.unreadable == "raise" else readable_sample(split.train)
    try:
        fitting = fit_network(chosen, measured, configuration.image_size, resized=split.resized)
        configuration = with_measured_light(configuration, split, measured, fitting.preprocessing.channels)
    except DataError as error:
        raise DataError(f"{error}. {how_to_begin(configuration.data)}") from error
    augmentation = augmentation_of(configuration, split)
    others = adaptation_lines(split.validation, fitting.preprocessing)
    device, line = open_device(configuration.device, configuration.threads, configuration.algorithm)
    number_types = check_precision(configuration.precision, device)
    line = f"{line}, {number_types.name}"
    observer.on_note(f"data: {split.description}")
    for text in (f"model: {chosen.name}, {fitting.network.parameter_count:,} parameters", *fitting.lines, line):
        observer.on_note(text)
    observer.on_note(f"augmentation: {describe_augmentation(augmentation)}")
    if others != fitting.lines:
        observer.on_note(f"validation images: {', '.join(others) or 'as they are'}")
    rule = with_soft_labels(rule_of(configuration), fitting.network, augmentation)
    learner = Learner(fitting.network, device, number_types, fitting.preprocessing, rule)
    run = RunFolder.create(out, f"{chosen.name}-{Path(configuration.data).stem}")
    try:
        run.write_configuration(configuration.model_dump())
        return _trainer(configuration, learner, split, fitting.preprocessing, run, observer)
    except BaseException:
        run.discard()
        raise


def resume_run(
    path: Path,
    observer: Observer,
    *,
    device: str | None = None,
    changed_data: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Trainer:
    """A trainer that goes on where the last checkpoint of a run was written.

    Args:
        path: the run's folder.
        observer: who is told.
        device: another device than the run had.
        changed_data: go on even though the data set is not the one of the checkpoint.
        settings: others than the run had, for the rest of it; what a run computes cannot be changed, but there may be
            more epochs.

    Raises:
        CheckpointError: when no checkpoint can be used, or it is of another network, other data or other settings.
        UsageError: when the run's decoder is not installed, or it cannot have other epochs.
    """
    run = _open_run(path)
    kept = run.read_configuration()
    manifest = _latest_manifest(CheckpointFolder(run.checkpoints))
    begun = begun_with(kept)
    configuration = with_chosen_decoder(with_absolute_data(begun_with(kept, settings or {})))
    require_extension(configuration, begun, run)
    split = open_split(configuration)
    preprocessing = Preprocessing.from_manifest(manifest.preprocessing)
    if manifest.network.get("model") == configuration.model:
        network = build_network(configuration.model, manifest.network.get("image"), len(split.train.classes))
    else:
        # A foreign checkpoint: comparing it with the network of this run shows what is wrong.
        fitting = fit_network(model(configuration.model), split.train, configuration.image_size, resized=split.resized)
        network, preprocessing = fitting.network, fitting.preprocessing
    opened, line = open_device(device or configuration.device, planned_threads(manifest))
    number_types = precision_to_resume(configuration.precision, opened)
    observer.on_note(f"{line}, {number_types.name}")
    opened.adopt_plan(manifest.thread_plan)
    rule = with_soft_labels(rule_of(configuration), network, augmentation_of(configuration, split))
    learner = Learner(network, opened, number_types, preprocessing, rule)
    trainer = _trainer(configuration, learner, split, preprocessing, run, observer)
    trainer.resume(changed_data=changed_data)
    _require_same_settings(configuration, manifest, run)
    if configuration.epochs > begun.epochs:
        require_patience(configuration, trainer.progress, run)
        run.write_configuration({**kept, "epochs": configuration.epochs})
    if trainer.progress.finished:
        observer.on_note(f"this run has already ended; {how_to_extend(configuration, trainer.progress, run)}")
    return trainer


def _open_run(path: Path) -> RunFolder:
    """The folder of a run that the command line or `new_run` has made."""
    run = RunFolder(path)
    if run.checkpoints.is_dir() and not run.configuration.exists():
        raise UsageError(
            f"'{path}' is the run of a network that was built in Python: it has checkpoints but no "
            f"{run.configuration.name}. Build the same network and go on there with Trainer.resume()"
        )
    return RunFolder.open(path)


def _latest_manifest(folder: CheckpointFolder) -> Manifest:
    """The manifest that resuming will meet, without the tensors; only the trainer reads and verifies those."""
    for path in (folder.last, folder.previous):
        with suppress(UnreadableCheckpointError):
            return read_manifest(path)
    return folder.load_latest()[1]


def _require_same_settings(configuration: Configuration, manifest: Manifest, run: RunFolder) -> None:
    """A run whose settings were edited would not go on as the run it was."""
    begun = begun_with(manifest.configuration)
    free = (*_FREE_TO_CHANGE, "epochs") if is_extension(configuration, begun) else _FREE_TO_CHANGE
    changed = [
        f"{name} is {getattr(configuration, name)!r}, was {getattr(begun, name)!r}"
        for name in Configuration.model_fields
        if name not in free and getattr(configuration, name) != getattr(begun, name)
    ]
    if changed:
        raise CheckpointError(
            f"'{run.configuration}' was changed since the run began: {'; '.join(changed)}. Undo that, or begin a new "
            f"run with --config {run.configuration}"
        )


def _trainer(
    configuration: Configuration,
    learner: Learner,
    split: Split,
    preprocessing: Preprocessing,
    run: RunFolder,
    observer: Observer,
) -> Trainer:
    plan = Plan(
        epochs=configuration.epochs,
        batch_size=configuration.batch_size,
        schedule=schedule_of(configuration),
        accumulate=configuration.accumulate,
        seed=configuration.seed,
        patience=configuration.patience,
        workers=configuration.workers,
        checkpoint_seconds=configuration.checkpoint_seconds,
    )
    loading = LoaderSettings(
        decoder=configuration.decoder,
        worker_kind=configuration.worker_kind,
        timeout=configuration.data_timeout,
        unreadable=configuration.unreadable,
    )
    H, W, C = learner.network.image.shape
    description = {
        "network": {"model": configuration.model, "image": [H, W, C], "classes": len(split.train.classes)},
        "configuration": configuration.model_dump(mode="json"),
    }
    augmentation = augmentation_of(configuration, split)
    return Trainer(learner, plan, split, preprocessing, augmentation, run, description, observer, loading)
