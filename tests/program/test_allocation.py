"""A step works in the memory that was planned for it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gpunn import backend
from gpunn.backend.attributes import ConvolutionAlgorithm
from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import CpuDevice
from gpunn.geometry import Shape
from gpunn.layers import (
    Add,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    MeanPool2d,
    ReLU,
    Swish,
    image_input,
)
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import model
from gpunn.network import Network
from gpunn.optimizers import Adam, Sgd
from gpunn.optimizers.optimizer import Optimizer
from gpunn.precision import precision
from gpunn.program.program import Program, plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from tests.threads import at_once

#: Vectors with a number per channel, and what Python itself needs for a call; no image and no gradient is so small.
ALLOWED_BYTES = 128 * 1024


def branches() -> Network:
    """Layers that the models lack, on images that are large enough to tell."""
    image = image_input((40, 36, 6))
    first = LocalResponseNorm(name="norm")(ReLU(name="relu")(Conv2d(16, 5, stride=2, padding=2, name="first")(image)))
    summed = Add(name="sum")(Conv2d(16, 3, padding=1, groups=2, name="grouped")(first), first)
    narrow = Swish(name="swish")(Conv2d(8, 1, name="narrow")(summed))
    joined = Dropout(0.3, name="drop")(Concatenate(name="joined")(narrow, summed))
    pooled = MaxPool2d(3, 2, name="maximum")(MeanPool2d(2, name="mean")(joined))
    return Network(Linear(None, 5, name="scores")(Flatten(name="flatten")(pooled)))


def built(name: str) -> Network:
    if name == "branches":
        return branches()
    chosen = model(name)
    return chosen.build(chosen.image, chosen.classes)


class Step:
    """A training step of a network on random numbers."""

    def __init__(self, network: Network, batch: int, rule: Optimizer, device: Device) -> None:
        objectives = (Objective(network.outputs[0], SoftmaxCrossEntropy()),)
        float32 = precision("float32")
        state = NetworkState(network, device, float32, rule)
        state.initialize(0)
        plan = plan_program(network, device, Specification(batch, "train", float32, objectives))
        self.program: Program
        (self.program,) = share_memory([plan], state)
        numbers = np.random.default_rng(0)
        image: Shape = network.image.shape
        self.program.write(network.image.name, numbers.normal(size=(batch, *image)))
        self.program.write("labels", numbers.integers(0, network.outputs[0].shape[0], batch))
        self.update = Update(state, UpdateSpecification(rule))

    def __call__(self) -> None:
        self.program.run()
        self.update.run()


def allocated(run: Callable[[], None]) -> int:
    """The most bytes that are held at a time beyond those that were held before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def opened(threads: int) -> Iterator[Callable[[ConvolutionAlgorithm], Device]]:
    devices: list[Device] = []

    def open_cpu(algorithm: ConvolutionAlgorithm) -> Device:
        devices.append(backend.open("cpu", threads, algorithm))
        return devices[-1]

    yield open_cpu
    for device in devices:
        device.close()


@pytest.mark.parametrize("algorithm", ["auto", "direct", "winograd"])
@pytest.mark.parametrize(
    ("name", "batch", "rule"),
    [
        ("lenet", 64, Sgd(weight_decay=5e-4)),
        ("vgg11-bn-cifar", 8, Sgd(weight_decay=5e-4, momentum=0.9)),
        ("branches", 32, Adam()),
    ],
    ids=["lenet", "vgg11-bn-cifar", "branches"],
)
def test_no_array_is_allocated_in_a_step(
    name: str,
    batch: int,
    rule: Optimizer,
    algorithm: ConvolutionAlgorithm,
    opened: Callable[[ConvolutionAlgorithm], Device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = Step(built(name), batch, rule, opened(algorithm))
    with monkeypatch.context() as patched:
        # A thread allocates its scratch memory when it first takes part, which may be late on a busy machine.
        patched.setattr(CpuDevice, "parallel", at_once(CpuDevice.parallel))
        step()
    largest = max(placement.size for placement in step.program.plan.memory.placements)
    assert largest > 4 * ALLOWED_BYTES
    assert allocated(step) < ALLOWED_BYTES


def test_such_steps_have_what_was_promised(opened: Callable[[ConvolutionAlgorithm], Device]) -> None:
    """Winograd's algorithm in all passes, batch norm, pooling and dropout."""
    device = opened("winograd")
    ran: dict[str, set[str]] = {}
    for name in ("vgg11-bn-cifar", "branches"):
        program = Step(built(name), 2, Sgd(), device).program
        for call in program.plan.calls:
            ran.setdefault(call.primitive, set()).add(device.observe(program.binding.step(call)).algorithm)
    for direction in ("forward", "backward_data", "backward_filter"):
        assert any("winograd" in algorithm for algorithm in ran[f"convolution2d_{direction}"])
    for layer in ("batch_norm", "maximum_pool2d", "mean_pool2d", "dropout", "local_response_norm"):
        assert {f"{layer}_forward", f"{layer}_backward"} <= set(ran)


def test_what_a_step_allocates_is_found(opened: Callable[[ConvolutionAlgorithm], Device]) -> None:
    held: list[np.ndarray] = []
    step = Step(branches(), 2, Sgd(), opened("auto"))

    def wasteful() -> None:
        step()
        held.append(np.zeros(ALLOWED_BYTES, np.uint8))

    step()
    assert allocated(wasteful) > ALLOWED_BYTES
