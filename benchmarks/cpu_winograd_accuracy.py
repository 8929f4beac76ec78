"""Whether a network learns as well by Winograd's algorithm, which rounds more, as by the direct ones.

    python -m benchmarks.cpu_winograd_accuracy --data fashion-mnist --seeds 0,1,2

A chain of six 3x3 convolutions with batch norm is trained on real images, from each seed with each algorithm and all
else equal: weights, order of the images, schedule, threads. Each run adds a line to a file in benchmarks/results/; runs
that it holds already are not repeated, so that they can be made one by one, with --seeds 1 --algorithms direct.

Rounding sends two runs of one seed apart within some hundred steps, as another seed would, so single runs say nothing;
their mean over the seeds does. The means are called the same when they differ by no more than the seeds of "direct" do
among themselves, the best less the worst.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.cpu.convolution_algorithms.choosing import ALGORITHMS, in_order
from gpunn.cores import processor_name
from gpunn.data import open_data
from gpunn.data.dataset import Dataset, Split
from gpunn.data.selection import select
from gpunn.errors import DataError, GpunnError
from gpunn.geometry import Shape
from gpunn.initializers import Normal
from gpunn.layers import BatchNorm, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import parse_schedule
from gpunn.training import Learner, Plan, Rule, Trainer, fit_network

RESULTS = Path(__file__).parent / "results"
#: The algorithm that rounds least, which others are compared with.
REFERENCE: ConvolutionAlgorithm = "direct"
#: Filters of the two convolutions before each pooling.
FILTERS = (32, 64, 128)


def build(image: Shape, classes: int) -> Network:
    """Three pairs of 3x3 convolutions with batch norm, each pair closed by a pooling, and one linear layer."""
    layers: list[Layer] = []
    for stack, filters in enumerate(FILTERS, start=1):
        for place in (1, 2):
            name = f"{stack}_{place}"
            layers += [Conv2d(filters, 3, padding=1, name=f"conv{name}"), BatchNorm(name=f"bn{name}"), ReLU()]
        layers.append(MaxPool2d(2))
    H, W, _ = image
    features = (H >> len(FILTERS)) * (W >> len(FILTERS)) * FILTERS[-1]
    classifier = Linear(features, classes, weight=Normal(0.01))
    return Sequential(*layers, Flatten(), classifier).network(image, "chain of 3x3 convolutions")


@dataclass(frozen=True)
class Setting:
    """What all runs that are compared have in common.

    Attributes:
        data: the name of the data set.
        images: of training, drawn from the data set, the same for all seeds.
        rate: the learning rate's peak.
    """

    data: str
    images: int
    epochs: int
    batch: int
    rate: float
    threads: int


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        accuracy: top-1 of all validation images after the last epoch, 0 to 1.
        loss: of the training images in the last epoch.
        convolutions: of a step, forward, backward-data and backward-filter: how many by which algorithm.
    """

    setting: Setting
    algorithm: ConvolutionAlgorithm
    seed: int
    accuracy: float
    loss: float
    convolutions: dict[str, int]
    validation_images: int
    seconds: float
    date: str
    machine: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """One algorithm beside the reference.

    Attributes:
        accuracies: by seed, in the order of the seeds, of this algorithm.
        difference: of the means, this algorithm's less the reference's.
        spread: the best seed of the reference less its worst.
    """

    algorithm: ConvolutionAlgorithm
    accuracies: tuple[float, ...]
    mean: float
    difference: float
    spread: float

    @property
    def is_same(self) -> bool:
        """Whether the means differ by no more than the reference's seeds."""
        return abs(self.difference) <= self.spread


def verdicts(runs: Iterable[Run]) -> list[Verdict]:
    """Each algorithm beside the reference, over the seeds that both have; none without two of them."""
    accuracies: dict[ConvolutionAlgorithm, dict[int, float]] = {}
    for run in runs:
        accuracies.setdefault(run.algorithm, {})[run.seed] = run.accuracy
    reference = accuracies.get(REFERENCE, {})
    found = []
    for algorithm, by_seed in accuracies.items():
        seeds = sorted(by_seed.keys() & reference.keys())
        if len(seeds) < 2:
            continue
        mine, its = [by_seed[seed] for seed in seeds], [reference[seed] for seed in seeds]
        mean = statistics.fmean(mine)
        found.append(Verdict(algorithm, tuple(mine), mean, mean - statistics.fmean(its), max(its) - min(its)))
    return found


def train(data: str, setting: Setting, algorithm: ConvolutionAlgorithm, seed: int) -> Run:
    """One run, from the first weights to the accuracy after the last epoch."""
    split = part_of(open_data(data, seed=0), setting.images)
    recipe = Recipe(setting.epochs, setting.batch, setting.rate)
    fitting = fit_network(Model("chain", (28, 28, 1), 10, True, build, recipe, ""), split.train)
    device = backend.open("cpu", setting.threads, algorithm)
    rule = Rule(Sgd(weight_decay=5e-4, momentum=0.9), seed=seed)
    learner = Learner(fitting.network, device, precision("float32"), fitting.preprocessing, rule)
    schedule = parse_schedule("cosine", setting.rate, setting.epochs)
    plan = Plan(setting.epochs, setting.batch, schedule, seed=seed)
    *_, last = records = list(Trainer(learner, plan, split, fitting.preprocessing).fit())
    device.close()
    if last.validation_top1 is None:
        raise DataError(f"{setting.data} has no validation images with classes; give --data that has")
    return Run(
        setting=setting,
        algorithm=algorithm,
        seed=seed,
        accuracy=last.validation_top1,
        loss=last.train_loss,
        convolutions=dict(Counter(chosen(fitting.network, setting.batch, algorithm))),
        validation_images=len(split.validation),
        seconds=sum(record.seconds for record in records),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=processor_name(),
        versions={"python": platform.python_version(), "numpy": np.__version__},
    )


def part_of(split: Split, images: int) -> Split:
    """So many training images, drawn, and all for validation."""
    drawn = np.random.default_rng(0).permutation(len(split.train))[:images]
    train: Dataset = select(split.train, np.sort(drawn))
    return Split(train, split.validation, f"{len(drawn)} of {split.description}")


def chosen(network: Network, batch: int, algorithm: ConvolutionAlgorithm) -> list[str]:
    """The algorithm of every convolution's forward, backward-data and backward-filter; the first has no data pass."""
    geometries = [
        node.layer.geometry(batch, node.inputs[0].shape) for node in network.nodes if isinstance(node.layer, Conv2d)
    ]
    return [
        in_order(algorithms, geometry, algorithm)[0].name
        for place, geometry in enumerate(geometries)
        for primitive, algorithms in ALGORITHMS.items()
        if place > 0 or primitive != "convolution2d_backward_data"
    ]


def read(path: Path, setting: Setting) -> list[Run]:
    """The runs of a results file that were made so."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    runs = [Run(**{**line, "setting": Setting(**line["setting"])}) for line in lines]
    return [run for run in runs if run.setting == setting]


def told(runs: Sequence[Run]) -> str:
    """A line a run, and a line an algorithm beside the reference."""
    lines = []
    for run in sorted(runs, key=lambda run: (run.algorithm, run.seed)):
        winograd = sum(count for name, count in run.convolutions.items() if name.startswith("winograd"))
        lines.append(
            f"{run.algorithm} seed {run.seed}: {run.accuracy:.2%} of {run.validation_images:,} images, training loss "
            f"{run.loss:.4f}; {winograd} of {sum(run.convolutions.values())} convolutions by Winograd's algorithm; "
            f"{run.seconds:.0f} s"
        )
    for verdict in verdicts(runs):
        line = f"{verdict.algorithm}: mean {verdict.mean:.2%} ({' '.join(f'{one:.2%}' for one in verdict.accuracies)})"
        if verdict.algorithm != REFERENCE:
            line += (
                f", {100 * verdict.difference:+.2f} points from {REFERENCE}, whose seeds spread over "
                f"{100 * verdict.spread:.2f}: {'the same' if verdict.is_same else 'NOT the same'} accuracy"
            )
        lines.append(line)
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Make the runs that are missing, print all, and return 1 when an algorithm is not as accurate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="as gpunn train takes it")
    parser.add_argument("--algorithms", default="direct,auto", help=f"of {', '.join(get_args(ConvolutionAlgorithm))}")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--images", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, help="default: a file of today in benchmarks/results/")
    options = parser.parse_args(given)
    algorithms, seeds = options.algorithms.split(","), options.seeds.split(",")
    for algorithm in algorithms:
        if algorithm not in get_args(ConvolutionAlgorithm):
            parser.error(f"--algorithms: {algorithm!r} is none of {', '.join(get_args(ConvolutionAlgorithm))}")
    if not all(seed.isdecimal() for seed in seeds):
        parser.error(f"--seeds {options.seeds!r} are no whole numbers such as 0,1,2")
    data = Path(options.data).name
    setting = Setting(data, options.images, options.epochs, options.batch, options.rate, options.threads)
    results: Path = options.results or RESULTS / f"cpu-winograd-accuracy-{datetime.now(UTC):%Y-%m-%d}.jsonl"
    known = {(run.algorithm, run.seed) for run in read(results, setting)}
    for seed in map(int, seeds):
        for algorithm in algorithms:
            if (algorithm, seed) not in known:
                try:
                    run = train(options.data, setting, algorithm, seed)
                except GpunnError as error:
                    sys.exit(f"error: {error}")
                with results.open("a") as file:
                    file.write(json.dumps(asdict(run)) + "\n")
    runs = read(results, setting)
    print(told(runs))
    return 0 if all(verdict.is_same for verdict in verdicts(runs)) else 1


if __name__ == "__main__":
    sys.exit(main())
