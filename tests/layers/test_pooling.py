"""Pooling layers: the worked example of the notes, sizes, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import ShapeError
from gpunn.layers import Flatten, GlobalMeanPool2d, Layer, MaxPool2d, MeanPool2d, MedianPool2d, image_input
from gpunn.network import Network
from tests.networks import Trained, labelled
from tests.programs import bind, plan, specify, state_of

WORKED = [[1, 1, 2, 5], [5, 7, 7, 8], [3, 1, 1, 0], [1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MaxPool2d(2), [[7, 8], [3, 4]]),
        (MeanPool2d(2), [[3.5, 5.5], [1.75, 2]]),
        (MedianPool2d(2), [[3, 6], [1.5, 2]]),
        (MaxPool2d(2, 1), [[7, 7, 8], [7, 7, 8], [3, 3, 4]]),
        (GlobalMeanPool2d(), 51 / 16),
    ],
)
def test_the_worked_example(cpu: Device, layer: Layer, expected: list[list[float]] | float) -> None:
    pooled = layer(image_input((4, 4, 1)))
    trained = Trained(Network(pooled), ())
    program = bind(plan(trained, cpu, specify(trained, 1, "evaluate")), state_of(trained, cpu))
    program.write("image", np.array(WORKED, np.float64).reshape(1, 4, 4, 1))
    program.run()
    assert np.array_equal(program.read_output(pooled).reshape(np.shape(expected)), np.array(expected, np.float64))


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        (MaxPool2d(2), (3, 4, 5)),
        (MaxPool2d(2, ceil_mode=True), (4, 4, 5)),
        (MaxPool2d(3, 2), (3, 3, 5)),
        (MeanPool2d(3, 2, padding=1), (4, 4, 5)),
        (MedianPool2d((7, 1), 3), (1, 3, 5)),
        (GlobalMeanPool2d(), (5,)),
    ],
)
def test_output_sizes(layer: Layer, output: tuple[int, ...]) -> None:
    assert layer.output_shape([(7, 8, 5)]) == output


def test_windows_of_more_than_256_places_count_them_in_32_bits(cpu: Device) -> None:
    """The largest value is at place 17 * 17 - 1 = 288, which a byte cannot hold."""
    image = image_input((17, 17, 1))
    trained = labelled(Flatten()(MaxPool2d(17)(image)))
    found = plan(trained, cpu, specify(trained, 1, gradients_of=(image,)))
    (places,) = {b for call in found.calls for b in call.buffers if b.name.endswith("argmax")}
    assert places.dtype == np.int32


def test_errors_name_the_layer() -> None:
    with pytest.raises(
        ShapeError, match=r"pool 'p' on 'image' \(2x2x1\): a window of 3x3 does not fit an image of 2x2"
    ):
        MaxPool2d(3, name="p")(image_input((2, 2, 1)))
    with pytest.raises(ShapeError, match=r"padding .* is as large as the 2x2 window"):
        MaxPool2d(2, padding=2)(image_input((4, 4, 1)))
