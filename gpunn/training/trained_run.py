"""From a checkpoint to a network that evaluates and predicts; the checkpoint holds all that is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.data.decoding.by_name import decoder
from gpunn.data.decoding.picture import Decoder
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import CheckpointError, UsageError
from gpunn.models import model
from gpunn.network import Network
from gpunn.training.checkpoint_file import UnreadableCheckpointError, read_checkpoint
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.configuration import Configuration, begun_with
from gpunn.training.devices import open_device, precision_to_measure
from gpunn.training.learner import Learner
from gpunn.training.manifest import Manifest
from gpunn.training.progress import Progress
from gpunn.training.resumption import require_same_tensors
from gpunn.training.run_folder import RunFolder


@dataclass(frozen=True)
class TrainedRun:
    """A finished or running run, ready to evaluate and predict.

    Attributes:
        learner: with the weights of the checkpoint.
        preprocessing: of its images.
        classes: names, in the order of the outputs.
        configuration: what it was trained with.
        manifest: of the checkpoint.
        decoder: as the images of the run were read.
        note: what a person should know about the checkpoint and how it is computed, if anything.
    """

    learner: Learner
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    configuration: Configuration
    manifest: Manifest
    decoder: Decoder
    note: str | None = None

    @property
    def epochs(self) -> int:
        """How many epochs the weights were trained for, one that was not ended left out."""
        return Progress.from_manifest(self.manifest.progress).epoch


def load_run(path: Path, device: str = "auto") -> TrainedRun:
    """The best weights of a run; the last ones where no epoch has ended yet, or where the best are damaged.

    Args:
        path: the folder of a run, or one checkpoint file. Nothing but the checkpoint is read.
        device: where to compute.

    Raises:
        UsageError: when there is no run there.
        CheckpointError: when no checkpoint can be used.
    """
    tensors, manifest, note = _read(path)
    configuration = begun_with({**manifest.configuration} if "plan" not in manifest.configuration else {})
    network = network_of(manifest)
    opened, _ = open_device(device, planned_threads(manifest))
    opened.adopt_plan(manifest.thread_plan)
    preprocessing = Preprocessing.from_manifest(manifest.preprocessing)
    precision, other_precision = precision_to_measure(configuration.precision, opened)
    reads, other_decoder = decoder_to_measure(configuration.decoder)
    learner = Learner(network, opened, precision, preprocessing)
    weights = {name: values for name, values in tensors.items() if not name.startswith("optimizer/")}
    require_same_tensors(learner, weights, path)
    learner.state.load(weights)
    notes = "; ".join(text for text in (note, other_precision, other_decoder) if text is not None)
    return TrainedRun(learner, preprocessing, tuple(manifest.classes), configuration, manifest, reads, notes or None)


def decoder_to_measure(name: str) -> tuple[Decoder, str | None]:
    """That decoder, or Pillow with a note where it is not installed: their pixels differ by little."""
    try:
        return decoder(name), None
    except UsageError as error:
        return decoder("pillow"), f"trained with the decoder {name!r}, and Pillow reads these images: {error}"


def _read(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], Manifest, str | None]:
    """Tensors, manifest, and a note where the best checkpoint could not be used."""
    if path.is_file():
        return *read_checkpoint(path), None
    run = RunFolder(path)
    if not run.checkpoints.is_dir():
        RunFolder.open(path)
    folder = CheckpointFolder(run.checkpoints)
    if not folder.best.exists():
        return folder.load_latest()
    try:
        return *folder.load_best(), None
    except UnreadableCheckpointError as error:
        tensors, manifest, _ = folder.load_latest()
        return tensors, manifest, f"'{error.path}' cannot be used: {error.reason}; using the latest checkpoint instead"


def network_of(manifest: Manifest) -> Network:
    """The network that a checkpoint describes.

    Raises:
        UsageError: when the network was built in Python.
        CheckpointError: when it was not made from a model that this version knows.
    """
    description = manifest.network
    if "model" not in description:
        raise UsageError(
            f"the network {description.get('name')!r} of this checkpoint was built in Python: build it there again, "
            "and go on with Trainer.resume() or load its weights with Learner.state.load"
        )
    return build_network(description.get("model"), description.get("image"), description.get("classes"))


def build_network(name: Any, image: Any, classes: Any) -> Network:
    """The network that a checkpoint names, in whatever way that fails."""
    try:
        H, W, C = image
        return model(name).build((H, W, C), classes)
    except (TypeError, ValueError, AttributeError, UsageError) as error:
        raise CheckpointError(
            f"the checkpoint holds a network that cannot be rebuilt by name ({error}); "
            "build it in Python and give its weights to Learner.state.load"
        ) from None


def planned_threads(manifest: Manifest) -> int | None:
    """How many threads of the CPU a checkpoint was computed with."""
    threads = manifest.thread_plan.get("cpu_threads")
    return threads if isinstance(threads, int) else None
