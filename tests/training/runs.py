"""Small runs: striped pictures of three classes, networks that train in milliseconds, and what a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpunn.backend.cpu.device import CpuDevice
from gpunn.data.adaptation import adapt, channel_statistics
from gpunn.data.dataset import Split
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from gpunn.network import Network, Sequential
from gpunn.optimizers import Optimizer, Sgd
from gpunn.precision import Precision, precision
from gpunn.schedules import ConstantSchedule
from gpunn.training.checkpoint_folder import CheckpointFolder
from gpunn.training.history import EpochRecord
from gpunn.training.learner import Learner
from gpunn.training.observer import StepReport
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.trainer import Trainer

SIZE = 12
CLASSES = ("top", "middle", "bottom")
#: What a clock has a hand in.
TIMED = (
    *("images_per_second", "seconds", "data_wait_fraction"),
    *("decode_fractions", "copy_fraction", "compute_fraction"),
)
#: The same of a checkpoint's progress.
TIMED_PROGRESS = ("seconds", "waited", "copied", "decoding", "images_read")


def striped(images: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noise, brighter in the third of the rows that the label names; labels in turn."""
    draw = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    pictures = draw.integers(0, 150, (images, SIZE, SIZE, 1), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[4 * label : 4 * label + 4] += 60
    return pictures, labels


def stripes(train: int = 50, validation: int = 21) -> Split:
    """A split of such pictures."""
    halves = [ArrayDataset(*striped(count, seed), CLASSES) for seed, count in ((1, train), (2, validation))]
    return Split(halves[0], halves[1], "stripes")


def write_stripes(path: Path, train: int = 50, validation: int = 21) -> Path:
    """The same as an .npz file."""
    arrays = {}
    for seed, (half, count) in enumerate((("train", train), ("validation", validation)), start=1):
        arrays[f"{half}_images"], arrays[f"{half}_labels"] = striped(count, seed)
    np.savez(path, **arrays)
    return path


def network() -> Network:
    """A convolution, batch norm and dropout."""
    return Sequential(
        Conv2d(4, 3, name="conv1"),
        BatchNorm(name="bn1"),
        ReLU(name="relu1"),
        MaxPool2d(2, name="pool1"),
        Dropout(0.3, name="drop1"),
        Flatten(name="flatten"),
        Linear(None, 3, name="fc2"),
    ).network((SIZE, SIZE, 1), "small")


def network_without_statistics() -> Network:
    """Dropout, but nothing that mixes the images of a batch."""
    return Sequential(
        Conv2d(4, 3, name="conv1"),
        ReLU(name="relu1"),
        Dropout(0.4, name="drop1"),
        Flatten(name="flatten"),
        Linear(None, 8, name="fc2"),
        Dropout(0.2, mode="classic", name="drop2"),
        Linear(8, 3, name="fc3"),
    ).network((SIZE, SIZE, 1), "small")


def preprocessing_of(split: Split) -> Preprocessing:
    """For pictures of the network's size."""
    return adapt(split.train.picture_shape, (SIZE, SIZE, 1), channel_statistics(split.train, 1)).preprocessing


@dataclass
class Recorder:
    """An observer that keeps what it is told."""

    notes: list[str] = field(default_factory=list)
    best_epochs: list[int] = field(default_factory=list)

    def on_step(self, report: StepReport) -> None:
        """Nothing."""

    def on_epoch(self, record: EpochRecord, *, is_best: bool) -> None:
        """Remember the best."""
        if is_best:
            self.best_epochs.append(record.epoch)

    def on_note(self, text: str) -> None:
        """Remember."""
        self.notes.append(text)


@dataclass(frozen=True)
class Setting:
    """Everything that makes a trainer."""

    build: Callable[[], Network] = network
    optimizer: Callable[[], Optimizer] = lambda: Sgd(momentum=0.9)
    plan: Plan = field(default_factory=lambda: Plan(3, 8, ConstantSchedule(0.05), accumulate=3))
    rule: dict[str, Any] = field(default_factory=dict)
    split: Callable[[], Split] = stripes
    precision: Precision = field(default_factory=lambda: precision("float32"))


@contextmanager
def trainer_of(
    setting: Setting, path: Path | None = None, observer: Recorder | None = None, threads: int = 1
) -> Iterator[Trainer]:
    """A trainer on a device of its own, with `path` as its run folder."""
    device = CpuDevice(threads)
    split = setting.split()
    preprocessing = preprocessing_of(split)
    try:
        learner = Learner(
            setting.build(), device, setting.precision, preprocessing, Rule(setting.optimizer(), **setting.rule)
        )
        if path is not None:
            path.mkdir(exist_ok=True)
        run = RunFolder(path) if path is not None else None
        yield Trainer(learner, setting.plan, split, preprocessing, None, run, observer=observer)
    finally:
        device.close()


def records_of(path: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what a clock has a hand in."""
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in TIMED} for line in lines]


def state_of(path: Path, which: str = "last") -> dict[str, Any]:
    """Every bit of a checkpoint that no clock has a hand in."""
    folder = CheckpointFolder(path / "checkpoints")
    tensors, manifest = folder.load_best() if which == "best" else folder.load_latest()[:2]
    progress = {name: value for name, value in manifest.progress.items() if name not in TIMED_PROGRESS}
    return {
        "progress": progress,
        **{name: (values.dtype.str, values.shape, values.tobytes()) for name, values in tensors.items()},
    }


def assert_same_run(path: Path, other: Path) -> None:
    """Metrics, last and best checkpoint agree bit for bit."""
    assert records_of(path) == records_of(other)
    for which in ("last", "best"):
        assert state_of(path, which) == state_of(other, which)
