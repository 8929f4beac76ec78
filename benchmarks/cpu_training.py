"""A training step and inference on the CPU beside PyTorch's, interleaved in one process.

    python -m benchmarks.cpu_training --network alexnet --batch 32 --threads 2 --json

Both sides get the same weights and the same normalised images, fp32; PyTorch runs in channels_last, its faster
order. A ratio is gpunn's time over PyTorch's, pair by pair; the median is quoted with its lowest and highest pair.
Needs PyTorch, which gpunn itself never does.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpunn import backend
from gpunn.cores import processor_name
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.models import MODELS, model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training.learner import Learner
from gpunn.training.rule import Rule

RATE, MOMENTUM = 0.001, 0.9
MEAN, DEVIATION = 0.5, 0.25


@dataclass(frozen=True)
class Comparison:
    """What one run of this program found.

    Attributes:
        training_ratio: median of gpunn's step time over PyTorch's.
        inference_ratio: the same of the forward pass.
        training_ratio_spread: lowest and highest pair.
        loss_difference: relative difference of the loss before training, in evaluation mode: dropout differs.
    """

    network: str
    batch: int
    threads: int
    training_ratio: float
    training_ratio_spread: tuple[float, float]
    inference_ratio: float
    gpunn_images_per_second: float
    pytorch_images_per_second: float
    loss_difference: float
    machine: str
    versions: dict[str, str]


def compare(name: str, batch: int, threads: int, repeats: int) -> Comparison:
    """Time both sides in turn, after one warm-up each."""
    import torch

    from gpunn.timing.pytorch import pytorch_network

    torch.set_num_threads(threads)
    chosen = model(name)
    H, W, C = chosen.image
    network = chosen.build(chosen.image, chosen.classes)
    device = backend.open("cpu", threads)
    preprocessing = Preprocessing(H, W, C, "stretch", max(H, W), (MEAN,) * C, (DEVIATION,) * C)
    learner = Learner(network, device, precision("float32"), preprocessing, Rule(Sgd(momentum=MOMENTUM)))
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (batch, H, W, C), dtype=np.uint8)
    labels = draw.integers(0, chosen.classes, batch).astype(np.int32)
    images = Batch(pictures, labels, np.zeros((batch, 3), np.int32), np.arange(batch))

    other = pytorch_network(network, learner.state.parameters.export())
    inputs = torch.from_numpy(((pictures / 255 - MEAN) / DEVIATION).astype(np.float32).transpose(0, 3, 1, 2))
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    targets = torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.SGD(other.parameters(), lr=RATE, momentum=MOMENTUM)

    def their_loss() -> float:
        other.eval()
        with torch.inference_mode():
            loss = torch.nn.functional.cross_entropy(other(inputs), targets)
        other.train()
        return loss.item()

    loss_difference = abs(learner.evaluate([images]).mean_loss / their_loss() - 1)

    def our_step() -> None:
        learner.learn(images, first=0, images=batch)
        learner.update(RATE)

    def their_step() -> None:
        optimizer.zero_grad(set_to_none=False)
        loss = torch.nn.functional.cross_entropy(other(inputs), targets)
        loss.backward()
        optimizer.step()

    def their_inference() -> None:
        other.eval()
        with torch.inference_mode():
            other(inputs)
        other.train()

    training = interleave(our_step, their_step, repeats)
    inference = interleave(lambda: learner.predict(images), their_inference, repeats)
    ratios = [ours / theirs for ours, theirs in training]
    device.close()
    return Comparison(
        network=name,
        batch=batch,
        threads=threads,
        training_ratio=statistics.median(ratios),
        training_ratio_spread=(min(ratios), max(ratios)),
        inference_ratio=statistics.median(ours / theirs for ours, theirs in inference),
        gpunn_images_per_second=batch / statistics.median(ours for ours, _ in training),
        pytorch_images_per_second=batch / statistics.median(theirs for _, theirs in training),
        loss_difference=loss_difference,
        machine=processor_name(),
        versions={"python": platform.python_version(), "numpy": np.__version__, "pytorch": torch.__version__},
    )


def interleave(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> list[tuple[float, float]]:
    """Seconds of both, pair by pair, after one call of each that does not count."""
    ours()
    theirs()
    return [(seconds(ours), seconds(theirs)) for _ in range(repeats)]


def seconds(function: Callable[[], Any]) -> float:
    """Wall-clock time of one call."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def main() -> None:
    """Compare, and print a line or a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(MODELS), default="lenet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = compare(arguments.network, arguments.batch, arguments.threads, arguments.repeats)
    if arguments.json:
        print(json.dumps(asdict(found)))
        return
    low, high = found.training_ratio_spread
    print(
        f"{found.network} batch {found.batch}, {found.threads} threads: gpunn {found.gpunn_images_per_second:,.0f} and "
        f"PyTorch {found.pytorch_images_per_second:,.0f} images/s; time ratio of a training step "
        f"{found.training_ratio:.2f} ({low:.2f} to {high:.2f}), of inference {found.inference_ratio:.2f}; "
        f"losses differ by {found.loss_difference:.0e}"
    )


if __name__ == "__main__":
    main()
