"""Whole networks through the CUDA kernels, in every precision: call by call, over several steps, and on real digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.data import Batch, Preprocessing
from gpunn.data.sources.digits import read_digits
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, image_input
from gpunn.network import Network, Sequential
from gpunn.optimizers import Adam, Sgd
from gpunn.precision import precision
from gpunn.program.comparison import Side, compare, reference_precision
from gpunn.program.specification import Specification
from gpunn.training import Learner, Rule
from tests.networks import NETWORKS, Trained, labelled
from tests.programs import inputs_of

PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
each_precision = pytest.mark.parametrize("name", PRECISIONS)

#: How far the state may be from the CPU's float32 after five steps, relative to how far it has moved: some fifty times
#: the rounding of a factor, for ReLUs and maxima that flip.
NEARNESS = {"float32": 1e-5, "tf32": 0.02, "bfloat16": 0.2, "float16": 0.02}


def alexnet_shaped() -> Trained:
    """AlexNet's layers in its order, small."""
    chain = Sequential(
        Conv2d(8, 11, stride=4, padding=2),
        ReLU(),
        LocalResponseNorm(),
        MaxPool2d(3, 2),
        Conv2d(16, 5, padding=2, groups=2),
        ReLU(),
        LocalResponseNorm(),
        Conv2d(12, 3, padding=1),
        ReLU(),
        Conv2d(16, 3, padding=1, groups=2),
        ReLU(),
        MaxPool2d(3, 2),
        Flatten(),
        Dropout(0.5),
        Linear(None, 24),
        ReLU(),
        Dropout(0.5),
        Linear(24, 10),
    )
    return labelled(chain(image_input((35, 35, 3))))


def vgg_shaped() -> Trained:
    """VGG's blocks with batch norm, small; a bias before batch norm would have no gradient but rounding."""
    chain = Sequential(
        Conv2d(8, 3, padding=1, bias=False),
        BatchNorm(),
        ReLU(),
        Conv2d(8, 3, padding=1, bias=False),
        BatchNorm(),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 3, padding=1, bias=False),
        BatchNorm(),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(None, 16),
        ReLU(),
        Linear(16, 10),
    )
    return labelled(chain(image_input((12, 12, 3))))


@pytest.fixture(scope="module", params=["emulator", "emulator:check"])
def either(request: pytest.FixtureRequest) -> Iterator[Device]:
    """The emulator's fast and its check build."""
    device = backend.open(request.param)
    yield device
    device.close()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Device]:
    """The emulator's fast build."""
    device = backend.open("emulator")
    yield device
    device.close()


@each_precision
@pytest.mark.parametrize("build", [*NETWORKS, alexnet_shaped, vgg_shaped], ids=lambda build: build.__name__)
def test_every_call_lies_within_its_rounding(
    cpu: Device, either: Device, build: Callable[[], Trained], name: str
) -> None:
    trained = build()
    number_types = precision(name)
    specification = Specification(3, "train", number_types, trained.objectives, seed=5)
    sides = [
        Side(trained.network, device, types, specification, Adam(weight_decay=0.01), seed=1)
        for device, types in ((cpu, reference_precision(cpu, number_types)), (either, number_types))
    ]
    for side in sides:
        for control, value in (("loss_scale", 0.5), ("loss_share", 0.5), ("learning_rate", 0.1)):
            side.state.set_control(control, value)
    wrong = [result for result in compare(*sides, inputs_of(trained, 3)) if not result.share <= 1]
    assert not wrong


def learner_of(network: Network, device: Device, name: str, seed: int = 3) -> Learner:
    H, W, C = network.image.shape
    preprocessing = Preprocessing(H, W, C, "stretch", max(H, W), (0.4,) * C, (0.3,) * C)
    return Learner(network, device, precision(name), preprocessing, Rule(Sgd(momentum=0.9), seed=seed))


def random_batch(network: Network, images: int) -> Batch:
    draw = np.random.default_rng(7)
    pictures = draw.integers(0, 256, (images, *network.image.shape), dtype=np.uint8)
    labels = draw.integers(0, 10, images).astype(np.int32)
    return Batch(pictures, labels, np.zeros((images, 3), np.int32), np.arange(images))


def after_steps(learner: Learner, batch: Batch, steps: int) -> dict[str, np.ndarray[Any, Any]]:
    for _ in range(steps):
        learner.learn(batch, first=0, images=len(batch))
        learner.update(0.02)
    return learner.state.export()


@each_precision
@pytest.mark.parametrize("build", [alexnet_shaped, vgg_shaped], ids=lambda build: build.__name__)
def test_several_steps_stay_near_the_cpu(
    cpu: Device, emulator: Device, build: Callable[[], Trained], name: str
) -> None:
    """The fourth step and the fifth are repeated from what was recorded at the third."""
    network = build().network
    batch = random_batch(network, 4)
    start = flat(learner_of(network, cpu, "float32").state.export())
    expected = flat(after_steps(learner_of(network, cpu, "float32"), batch, 5))
    found = flat(after_steps(learner_of(network, emulator, name), batch, 5))
    assert np.linalg.norm(found - expected) <= NEARNESS[name] * np.linalg.norm(expected - start)


def flat(state: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Weights and running statistics in one vector; the optimiser's state has other units."""
    return np.concatenate([values.ravel() for name, values in state.items() if not name.startswith("optimizer/")])


@each_precision
def test_two_runs_give_the_same_bits(emulator: Device, name: str) -> None:
    network = alexnet_shaped().network
    batch = random_batch(network, 3)
    first, second = (after_steps(learner_of(network, emulator, name), batch, 4) for _ in range(2))
    assert all(values.tobytes() == second[key].tobytes() for key, values in first.items())


def digit_network() -> Network:
    """Small enough for the emulator; batch norm keeps the seeds near each other."""
    return Sequential(
        Conv2d(12, 5, stride=2),
        BatchNorm(),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 3),
        BatchNorm(),
        ReLU(),
        Flatten(),
        Linear(None, 10),
    ).network((28, 28, 1))


@cache
def digit_batches() -> tuple[Batch, ...]:
    train = read_digits().train
    order = np.random.default_rng(0).permutation(len(train))[: 20 * 24].reshape(20, 24)
    images = [np.stack([train.load(int(index)) for index in indices]) for indices in order]
    placement = np.zeros((24, 3), np.int32)
    return tuple(
        Batch(pictures, train.labels[indices].astype(np.int32), placement, indices)
        for pictures, indices in zip(images, order, strict=True)
    )


def loss_after_twenty_steps(device: Device, name: str, seed: int) -> float:
    """Of the last five batches, when each was learnt from once."""
    learner = learner_of(digit_network(), device, name, seed)
    for batch in digit_batches():
        learner.learn(batch, first=0, images=len(batch))
        learner.update(0.02)
    return learner.evaluate(digit_batches()[-5:]).mean_loss


@each_precision
def test_learning_real_digits_stays_within_the_spread_of_seeds(cpu: Device, emulator: Device, name: str) -> None:
    of_seeds = [loss_after_twenty_steps(cpu, "float32", seed) for seed in range(5)]
    assert min(of_seeds) <= loss_after_twenty_steps(emulator, name, 0) <= max(of_seeds)
    assert max(of_seeds) < 0.3 * np.log(10)
