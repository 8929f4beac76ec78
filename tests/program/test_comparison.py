"""Two devices compared call by call: rounding passes, and a primitive that is slightly wrong is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gpunn.backend import cpu as backend_cpu
from gpunn.backend.contract import Device, Primitives
from gpunn.backend.cpu.device import CpuDevice, open_cpu
from gpunn.models import model
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.comparison import Comparison, Side, compare, compare_devices
from gpunn.program.specification import Specification

FLOAT32 = precision("float32")


def lenet() -> Network:
    chosen = model("lenet")
    return chosen.build(chosen.image, chosen.classes)


def compared(cpu: Device, tested: Device, network: Network | None = None) -> list[Comparison]:
    return list(compare_devices(network or lenet(), cpu, tested, FLOAT32, batch=2, seed=1))


@pytest.fixture
def cpu() -> Iterator[Device]:
    """The CPU as a reference: what is compared is bounded by the definition's products."""
    opened = open_cpu(2, "direct")
    yield opened
    opened.close()


class BrokenDevice(CpuDevice):
    """The CPU with one primitive that changes what it has written."""

    broken: Primitives

    @property
    def primitives(self) -> Primitives:
        return self.broken


@pytest.fixture
def broken_device() -> Iterator[BrokenDevice]:
    opened = open_cpu(1, "direct")
    opened.__class__ = BrokenDevice
    yield cast("BrokenDevice", opened)
    opened.close()


def break_primitive(device: BrokenDevice, name: str, output: str, change: Any) -> None:
    right = getattr(backend_cpu, name)

    def wrong(handle: Device, **arguments: Any) -> None:
        right(handle, **arguments)
        change(arguments[output])

    functions = {known: getattr(backend_cpu, known) for known in backend_cpu.__all__}
    device.broken = cast("Primitives", SimpleNamespace(**{**functions, name: wrong}))


@pytest.mark.parametrize("name", ["lenet", "vgg11-bn-cifar"])
def test_float32_lies_within_its_rounding_of_float64(cpu: Device, name: str) -> None:
    chosen = model(name)
    other = open_cpu(1, "direct")
    results = compared(cpu, other, chosen.build(chosen.image, chosen.classes))
    other.close()
    assert max(result.share for result in results) < 1
    assert {result.phase for result in results} == {"forward", "loss", "backward", "update"}
    # Not vacuous: sums of products come near their bound.
    assert max(result.share for result in results) > 0.05


def scaled_a_little(array: np.ndarray[Any, Any]) -> None:
    array *= np.float32(1.0005)


def one_place_wrong(array: np.ndarray[Any, Any]) -> None:
    array.flat[7] += np.abs(array).max() / 100


def one_label_off(array: np.ndarray[Any, Any]) -> None:
    array.flat[3] ^= 1


def not_a_number(array: np.ndarray[Any, Any]) -> None:
    array.flat[0] = np.nan


def test_a_call_that_only_the_reference_has_is_an_error(cpu: Device) -> None:
    """Calls behind it would have no partners, and nothing would be compared."""
    network = lenet()
    specification = Specification(1, "evaluate", FLOAT32)
    reference, tested = (Side(network, cpu, FLOAT32, specification, Sgd(), seed=1) for _ in range(2))
    reference.calls = (replace(reference.calls[0], node="nowhere"), *reference.calls)
    inputs = {network.image.name: np.zeros((1, *network.image.shape), np.float32)}
    with pytest.raises(ValueError, match="of 'nowhere' is a call of the reference device only"):
        list(compare(reference, tested, inputs))


@pytest.mark.parametrize(
    ("primitive", "output", "change", "node"),
    [
        ("convolution2d_forward", "y", scaled_a_little, "conv1"),
        ("convolution2d_backward_filter", "gw", one_place_wrong, "conv2"),
        ("linear_backward_data", "gx", not_a_number, "fc4"),
        ("maximum_pool2d_forward", "argmax", one_label_off, "pool1"),
        ("softmax_cross_entropy", "loss", scaled_a_little, "loss1"),
        ("sgd", "parameters", one_place_wrong, "update"),
    ],
)
def test_the_first_wrong_result_is_named(
    cpu: Device, broken_device: BrokenDevice, primitive: str, output: str, change: Any, node: str
) -> None:
    break_primitive(broken_device, primitive, output, change)
    wrong = [result for result in compared(cpu, broken_device) if not result.share <= 1]
    assert (wrong[0].primitive, wrong[0].node) == (primitive, node)
    # Errors do not travel: only calls of that primitive are wrong.
    assert {result.primitive for result in wrong} == {primitive}
