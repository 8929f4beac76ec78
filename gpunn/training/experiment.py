"""From a configuration, or from the folder of a run, to everything that trains, evaluates or predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.data.adaptation import adapt, channel_statistics
from gpunn.data.augmentation import Augmentation
from gpunn.data.dataset import Dataset, Split
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources import open_data
from gpunn.errors import CheckpointError, DeviceError, UsageError
from gpunn.geometry import Shape
from gpunn.models import Model, model
from gpunn.network import Network
from gpunn.optimizers import LEARNING_RATES, optimizer
from gpunn.precision import Precision, precision
from gpunn.schedules import parse_schedule
from gpunn.training.checkpoint_file import UnreadableCheckpointError, read_manifest
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.configuration import Configuration, configure
from gpunn.training.learner import Learner, Rule
from gpunn.training.manifest import Manifest
from gpunn.training.observer import Observer
from gpunn.training.plan import Plan
from gpunn.training.resumption import require_same_tensors
from gpunn.training.run_folder import RunFolder
from gpunn.training.trainer import Trainer

#: Number types that the CPU computes in.
CPU_PRECISIONS = ("float32", "float64")

#: Settings that do not change what a run computes; data sets are compared by what they hold.
_FREE_TO_CHANGE = ("data", "device", "threads", "workers", "checkpoint_seconds")

_AUGMENTATIONS: Mapping[str, Callable[[], Augmentation | None]] = {
    "none": lambda: None,
    "digits": Augmentation.for_digits,
    "photographs": Augmentation.for_photographs,
}


@dataclass(frozen=True)
class Fitting:
    """A network made for a data set, and how its images become the network's input."""

    network: Network
    preprocessing: Preprocessing
    lines: tuple[str, ...]


def with_recipe(*sources: Mapping[str, Any]) -> Configuration:
    """The configuration of some settings over the recipe of the model they name.

    An optimiser other than the recipe's starts at its own usual learning rate instead of the recipe's.
    """
    named = configure(*sources)
    chosen = model(named.model)
    merged: dict[str, Any] = {}
    for source in sources:
        merged.update(source)
    if named.optimizer != chosen.recipe.optimizer and "optimizer" in merged and "learning_rate" not in merged:
        merged["learning_rate"] = LEARNING_RATES[named.optimizer]
    return configure(merged, recipe=chosen.recipe)


def open_device(name: str, threads: int | None = None) -> tuple[Device, str]:
    """A device, and a line that says which; "auto" takes CUDA where gpunn can train on it, else the CPU.

    Raises:
        DeviceError: when a device that was asked for by name is not there.
    """
    if name != "auto":
        device = backend.open(name, threads)
        return device, f"device: {device.name}"
    try:
        device = backend.open("cuda")
    except DeviceError:
        device = backend.open("cpu", threads)
        return device, "device: cpu (auto: this version trains on the CPU)"
    return device, f"device: {device.name} (auto)"


def check_precision(name: str, device: Device) -> Precision:
    """The number types of that name, if the device computes them.

    Raises:
        DeviceError: when it does not.
    """
    chosen = precision(name)
    if name not in CPU_PRECISIONS:
        raise DeviceError(
            f"precision {name} needs tensor cores, which {device.name} has not; use --precision float32 or float64"
        )
    return chosen


def fit_network(chosen: Model, dataset: Dataset, image_size: int | None = None) -> Fitting:
    """The model for the images and classes of a data set.

    A flexible model takes images as they are, where all have one size; any other keeps its own input, and the
    images are resized, gray is repeated to RGB, and RGB becomes gray by luma.

    Raises:
        ShapeError: when `image_size` does not fit the model.
        DataError: when the images cannot be adapted.
    """
    height, width, channels = dataset.picture_shape
    shape: Shape = chosen.image
    if image_size is not None:
        shape = (image_size, image_size, channels if chosen.flexible else chosen.image[2])
    elif chosen.flexible and height is not None and width is not None:
        shape = (height, width, channels)
    network = chosen.build(shape, len(dataset.classes))
    H, W, C = shape
    adaptation = adapt(dataset.picture_shape, (H, W, C), channel_statistics(dataset, C))
    return Fitting(network, adaptation.preprocessing, adaptation.lines)


def rule_of(configuration: Configuration) -> Rule:
    """How a learner with that configuration learns."""
    return Rule(
        optimizer=optimizer(
            configuration.optimizer, configuration.weight_decay, configuration.momentum, configuration.momentum_style
        ),
        smoothing=configuration.label_smoothing,
        reduction=configuration.reduction,
        clip_norm=configuration.clip_norm,
        l1=configuration.l1,
        seed=configuration.seed,
    )


def open_split(configuration: Configuration) -> Split:
    """The data of a configuration."""
    return open_data(
        configuration.data,
        seed=configuration.seed,
        validation_fraction=configuration.validation_fraction,
        keep_empty_classes=configuration.keep_empty_classes,
    )


def with_absolute_data(configuration: Configuration) -> Configuration:
    """The same configuration, its data named so that they are found from any folder."""
    path = Path(configuration.data).expanduser()
    if configuration.data == "digits" or not path.exists():
        return configuration
    return configuration.model_copy(update={"data": str(path.absolute())})


def new_run(configuration: Configuration, out: Path | None, observer: Observer) -> Trainer:
    """A trainer for a run that begins. The data are checked before a device is opened or a folder made."""
    configuration = with_absolute_data(configuration)
    chosen = model(configuration.model)
    parse_schedule(configuration.schedule, configuration.learning_rate, configuration.epochs)
    split = open_split(configuration)
    fitting = fit_network(chosen, split.train, configuration.image_size)
    device, line = open_device(configuration.device, configuration.threads)
    observer.on_note(f"data: {split.description}")
    for text in (f"model: {chosen.name}, {fitting.network.parameter_count:,} parameters", *fitting.lines, line):
        observer.on_note(text)
    learner = Learner(
        fitting.network,
        device,
        check_precision(configuration.precision, device),
        fitting.preprocessing,
        rule_of(configuration),
    )
    run = RunFolder.create(out, f"{chosen.name}-{Path(configuration.data).stem}")
    run.write_configuration(configuration.model_dump())
    return _trainer(configuration, learner, split, fitting.preprocessing, run, observer)


def resume_run(path: Path, observer: Observer, *, device: str | None = None, changed_data: bool = False) -> Trainer:
    """A trainer that goes on where the last checkpoint of a run was written.

    Args:
        path: the run's folder.
        observer: who is told.
        device: another device than the run had.
        changed_data: go on even though the data set is not the one of the checkpoint.

    Raises:
        CheckpointError: when no checkpoint can be used, or it is of another network, other data or other settings.
    """
    run = _open_run(path)
    manifest = _latest_manifest(CheckpointFolder(run.checkpoints))
    configuration = configure(run.read_configuration())
    split = open_split(configuration)
    preprocessing = Preprocessing.from_manifest(manifest.preprocessing)
    if manifest.network.get("model") == configuration.model:
        network = _build(configuration.model, manifest.network.get("image"), len(split.train.classes))
    else:
        # A foreign checkpoint: comparing it with the network of this run shows what is wrong.
        network = fit_network(model(configuration.model), split.train, configuration.image_size).network
    opened, line = open_device(device or configuration.device, _planned_threads(manifest))
    observer.on_note(line)
    learner = Learner(
        network, opened, check_precision(configuration.precision, opened), preprocessing, rule_of(configuration)
    )
    trainer = _trainer(configuration, learner, split, preprocessing, run, observer)
    trainer.resume(changed_data=changed_data)
    _require_same_settings(configuration, manifest, run)
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
    begun = configure(manifest.configuration)
    changed = [
        f"{name} is {getattr(configuration, name)!r}, was {getattr(begun, name)!r}"
        for name in Configuration.model_fields
        if name not in _FREE_TO_CHANGE and getattr(configuration, name) != getattr(begun, name)
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
        schedule=parse_schedule(configuration.schedule, configuration.learning_rate, configuration.epochs),
        accumulate=configuration.accumulate,
        seed=configuration.seed,
        patience=configuration.patience,
        workers=configuration.workers,
        checkpoint_seconds=configuration.checkpoint_seconds,
    )
    H, W, C = learner.network.image.shape
    description = {
        "network": {"model": configuration.model, "image": [H, W, C], "classes": len(split.train.classes)},
        "configuration": configuration.model_dump(mode="json"),
    }
    chosen = _AUGMENTATIONS.get(configuration.augmentation)
    augmentation = chosen() if chosen is not None else split.augmentation
    return Trainer(learner, plan, split, preprocessing, augmentation, run, description, observer)


@dataclass(frozen=True)
class TrainedRun:
    """A finished or running run, ready to evaluate and predict.

    Attributes:
        learner: with the weights of the checkpoint.
        preprocessing: of its images.
        classes: names, in the order of the outputs.
        configuration: what it was trained with.
        manifest: of the checkpoint.
    """

    learner: Learner
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    configuration: Configuration
    manifest: Manifest


def load_run(path: Path, device: str = "auto") -> TrainedRun:
    """The best weights of a run; the last ones where no epoch has ended yet.

    Raises:
        UsageError: when the folder is not that of a run.
        CheckpointError: when no checkpoint can be used.
    """
    run = _open_run(path)
    folder = CheckpointFolder(run.checkpoints)
    tensors, manifest = folder.load_best() if folder.best.exists() else folder.load_latest()[:2]
    preprocessing = Preprocessing.from_manifest(manifest.preprocessing)
    configuration = configure({**manifest.configuration})
    opened, _ = open_device(device, _planned_threads(manifest))
    learner = Learner(network_of(manifest), opened, check_precision(configuration.precision, opened), preprocessing)
    weights = {name: values for name, values in tensors.items() if not name.startswith("optimizer/")}
    require_same_tensors(learner, weights, run.checkpoints)
    learner.state.load(weights)
    return TrainedRun(learner, preprocessing, tuple(manifest.classes), configuration, manifest)


def network_of(manifest: Manifest) -> Network:
    """The network that a checkpoint describes.

    Raises:
        CheckpointError: when it was not made from a model that this version knows.
    """
    description = manifest.network
    return _build(description.get("model"), description.get("image"), description.get("classes"))


def _build(name: Any, image: Any, classes: Any) -> Network:
    """The network that a checkpoint names, in whatever way that fails."""
    try:
        H, W, C = image
        return model(name).build((H, W, C), classes)
    except (TypeError, ValueError, AttributeError, UsageError) as error:
        raise CheckpointError(
            f"the checkpoint holds a network that cannot be rebuilt by name ({error}); "
            "build it in Python and give its weights to Learner.state.load"
        ) from None


def _planned_threads(manifest: Manifest) -> int | None:
    threads = manifest.thread_plan.get("cpu_threads")
    return threads if isinstance(threads, int) else None
