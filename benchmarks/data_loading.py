"""How fast pictures become batches: gpunn's loader beside PyTorch's DataLoader and beside bare decoding.

    python -m benchmarks.data_loading --images 512 --repeats 7

A tree of JPEG files of 500x375 is rendered, read once, and then turned into random resized crops of 224x224, half of
them mirrored, by every side in turn, epoch by epoch in one process. A ratio is one side's images per second over
another's, pair by pair; the median is quoted with its lowest and highest pair. All sides have the same number of
workers, all that run on, and an epoch before the first that counts. Take a number of images that all workers can share
evenly in whole batches of 64, as 512 is for two: PyTorch's workers take whole batches, gpunn's take parts of them.
PyTorch has to be installed, and gpunn[fast] for what is named so.

What was tried for Pillow: its memory arena's alignment, its kept blocks, and huge pages for what malloc gives change
nothing. The same work costs 1.80 ms a picture in most processes and 2.05 in about one of eight, by where the kernel
happens to put them: with addresses that are not random it never does.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bare_decoding import BareProcesses
from gpunn import backend
from gpunn.cores import processor_name
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.augmenting.augmenter import Augmenter
from gpunn.data.dataset import Dataset
from gpunn.data.decoding.by_name import decoder
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.loader import Loader, WorkerKind
from gpunn.data.making.packing import Packing, pack
from gpunn.data.making.synthesis import VALIDATION_FRACTION, Synthesis, synthesize
from gpunn.data.preprocessing import Preprocessing
from gpunn.data.sources.opening import open_data
from gpunn.data.sources.packed.dataset import read_packed
from gpunn.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from gpunn.network import Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training.learner import Learner
from gpunn.training.rule import Rule

SIZE = 224
BATCH = 64
WINDOWS = Augmentation(crop_window=True, mirror=0.5)
SOURCE_SIZE = (375, 500)
CLASSES = 4
LEARNING_RATE = 1e-4
PREPROCESSING = Preprocessing(SIZE, SIZE, 3, "crop", 256, (0.5,) * 3, (0.25,) * 3)

#: What is compared: a side, the side it is divided by, and the least that is asked of the ratio.
RATIOS = (
    ("pillow", "pytorch float32", 1.4),
    ("pillow", "pytorch uint8", 1.15),
    ("fast", "pytorch float32", 1.8),
    ("fast", "pytorch uint8", 1.45),
    ("pillow", "bare pillow", 0.9),
    ("fast", "bare fast", 0.9),
    ("training while reading", "shared cores", 0.95),
)

#: The least that is asked of the packed pictures, in images a second.
PACKED_RATE = 15_000


@dataclass(frozen=True)
class Side:
    """One way to read all pictures once.

    Attributes:
        images: how many that are.
        epoch: reads them.
    """

    images: int
    epoch: Callable[[], None]


@dataclass(frozen=True)
class Result:
    """What one run of this program found.

    Attributes:
        rates: images per second of each side, median.
        ratios: median, lowest and highest of each ratio.
    """

    rates: dict[str, float]
    ratios: dict[str, tuple[float, float, float]]
    workers: int
    images: int
    bytes_per_image: float
    machine: str
    versions: dict[str, str]


def compare(images: int, workers: int, repeats: int) -> Result:
    """Render, warm up, and time every side in turn."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root, packed = Path(folder) / "pictures", Path(folder) / "packed.safetensors"
        height, width = SOURCE_SIZE
        synthesize(
            root,
            Synthesis(CLASSES, round(images / (1 - VALIDATION_FRACTION)), size=(width, height), vary=0),
            workers=workers,
        )
        split = open_data(str(root), seed=0)
        pack(split, packed, Packing(decoder("pillow"), workers))
        files = sorted((root / "train").glob("*/*.jpg"))
        sides = stack.enter_context(_sides(split.train, read_packed(packed).train, files, workers))
        for side in sides.values():
            side.epoch()
        rounds = [{name: _rate(side) for name, side in sides.items()} for _ in range(repeats)]
        for rates in rounds:
            rates["shared cores"] = 1 / (1 / rates["training"] + 1 / rates["pillow"])
        size = statistics.fmean(path.stat().st_size for path in files)
    return Result(
        rates={name: statistics.median(rates[name] for rates in rounds) for name in rounds[0]},
        ratios={
            f"{one} / {other}": _spread([rates[one] / rates[other] for rates in rounds]) for one, other, _ in RATIOS
        },
        workers=workers,
        images=len(files),
        bytes_per_image=size,
        machine=processor_name(),
        versions=_versions(),
    )


@contextmanager
def _sides(dataset: Dataset, packed: Dataset, files: Sequence[Path], workers: int) -> Iterator[dict[str, Side]]:
    """Every way to read the pictures, with its workers at hand."""
    from benchmarks.pytorch_loader import pytorch_loader

    photographs = Augmentation.for_photographs()
    augmenter = Augmenter(photographs, PREPROCESSING, seed=0)
    boxes = [augmenter.box(row, SOURCE_SIZE) for row in augmenter.draw(0, np.arange(len(files)))]
    with ExitStack() as stack:

        def loader(data: Dataset, name: str, kind: WorkerKind, augmentation: Augmentation) -> Loader:
            made = Loader(
                data,
                PREPROCESSING,
                batch_size=BATCH,
                seed=0,
                augmentation=augmentation,
                shuffle=True,
                workers=workers,
                worker_kind=kind,
                decoder=decoder(name),
            )
            stack.callback(made.close)
            return made

        def ours(data: Dataset, name: str, kind: WorkerKind, augmentation: Augmentation) -> Side:
            made = loader(data, name, kind, augmentation)
            return Side(len(data), lambda: exhaust(made.batches(0)))

        def theirs(as_float: bool) -> Side:
            made = pytorch_loader(files, SIZE, BATCH, workers, as_float)
            return Side(len(files), lambda: exhaust(made))

        def bare(name: str) -> Side:
            processes = BareProcesses(name, files, boxes, SIZE, workers)
            stack.callback(processes.close)
            return Side(len(files), processes.run)

        learner = _learner(workers)
        stack.callback(learner.device.close)
        beside = loader(dataset, "pillow", "processes", photographs)
        yield {
            "pytorch float32": theirs(True),
            "pytorch uint8": theirs(False),
            "bare pillow": bare("pillow"),
            "pillow": ours(dataset, "pillow", "processes", photographs),
            "pillow, threads": ours(dataset, "pillow", "threads", photographs),
            "bare fast": bare("fast"),
            "fast": ours(dataset, "fast", "processes", photographs),
            "fast, threads": ours(dataset, "fast", "threads", photographs),
            "packed": ours(packed, "pillow", "threads", WINDOWS),
            "training": Side(len(dataset), lambda: _train_in_memory(learner, len(dataset))),
            "training while reading": Side(len(dataset), lambda: _train(learner, beside.batches(0))),
        }


def exhaust(batches: Iterable[Any]) -> None:
    """Take every batch and do nothing with it."""
    for _ in batches:
        pass


def _learner(threads: int) -> Learner:
    """A network about as fast as the loader, so that neither hides the other."""
    network = Sequential(
        Conv2d(32, 11, stride=4, name="conv1"),
        ReLU(name="relu1"),
        MaxPool2d(3, 2, name="pool1"),
        Flatten(name="flatten"),
        Linear(None, CLASSES, name="fc2"),
    ).network((SIZE, SIZE, 3), "small")
    device = backend.open("cpu", threads)
    return Learner(network, device, precision("float32"), PREPROCESSING, Rule(Sgd(momentum=0.9)))


def _train(learner: Learner, batches: Iterable[Batch]) -> None:
    for batch in batches:
        learner.learn(batch, first=0, images=len(batch))
        learner.update(LEARNING_RATE)


def _train_in_memory(learner: Learner, images: int) -> None:
    """As many steps as an epoch has, on pixels that need not be read."""
    pixels = np.zeros((BATCH, SIZE, SIZE, 3), np.uint8)
    whole = Batch(pixels, np.zeros(BATCH, np.int32), np.zeros((BATCH, 3), np.int32), np.arange(BATCH))
    _train(learner, (whole.part(0, min(BATCH, images - first)) for first in range(0, images, BATCH)))


def _rate(side: Side) -> float:
    begun = time.perf_counter()
    side.epoch()
    return side.images / (time.perf_counter() - begun)


def _spread(ratios: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(ratios), min(ratios), max(ratios)


def _versions() -> dict[str, str]:
    installed = ("numpy", "pillow", "torch", "simplejpeg", "cykooz-resizer")
    return {"python": platform.python_version(), **{name: version(name) for name in installed}}


def main() -> None:
    """Compare, and print a table or a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = compare(arguments.images, arguments.workers, arguments.repeats)
    if arguments.json:
        print(json.dumps(asdict(result)))
        return
    print(f"{result.images} pictures of {result.bytes_per_image / 1000:.0f} kB, {result.workers} workers")
    for name, rate in result.rates.items():
        print(f"{rate:10,.0f} images/s  {name}")
    for one, other, wanted in RATIOS:
        median, low, high = result.ratios[f"{one} / {other}"]
        print(f"{median:10.2f} ({low:.2f} to {high:.2f}; wanted {wanted})  {one} / {other}")
    print(f"{result.rates['packed']:10,.0f} (wanted {PACKED_RATE:,})  packed")


if __name__ == "__main__":
    main()
