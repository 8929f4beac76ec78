"""Convolution layers: shapes, parameters, operations, and what they refuse."""

from __future__ import annotations

import pytest

from gpunn.errors import ShapeError
from gpunn.geometry import ReceptiveField
from gpunn.layers import Conv2d, LocallyConnected2d, image_input


def shapes(layer: Conv2d | LocallyConnected2d, image: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    return {parameter.name: parameter.shape for parameter in layer.parameters([image])}


def test_sixteen_filters_on_rgb_have_448_parameters() -> None:
    assert shapes(Conv2d(16, 3), (32, 32, 3)) == {"weight": (3, 3, 3, 16), "bias": (16,)}
    assert 3 * 3 * 3 * 16 + 16 == 448


def test_a_convolution_as_one_matrix_product() -> None:
    """The notes: 200x200x3, 75 filters of 10x10x3, stride 2: (75 x 300) times (300 x 9216) gives 75 x 96 x 96."""
    layer = Conv2d(75, 10, stride=2)
    image = (200, 200, 3)
    assert layer.output_shape([image]) == (96, 96, 75)
    (filters,) = (shape for name, shape in shapes(layer, image).items() if name == "weight")
    assert filters[0] * filters[1] * filters[2] == 300
    assert layer.flops([image]) == 2 * 75 * 300 * 9216


def test_a_locally_connected_layer_of_a_million_units_has_a_hundred_million_weights() -> None:
    layer = LocallyConnected2d(1, 10, padding="same", bias=False)
    image = (1000, 1000, 1)
    assert layer.output_shape([image]) == (1000, 1000, 1)
    (weight,) = layer.parameters([image])
    count = 1
    for extent in weight.shape:
        count *= extent
    assert count == 100_000_000


def test_groups_divide_the_depth_of_filters() -> None:
    layer = Conv2d(256, 5, padding=2, groups=2)
    assert shapes(layer, (27, 27, 96))["weight"] == (5, 5, 48, 256)
    assert layer.parameters([(27, 27, 96)])[0].fan_in == 5 * 5 * 48
    assert layer.flops([(27, 27, 96)]) == 2 * 27 * 27 * 256 * 5 * 5 * 48


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        (Conv2d(4, 3), (5, 6, 4)),
        (Conv2d(4, 3, padding="same"), (7, 8, 4)),
        (Conv2d(4, 4, padding="same", stride=2), (4, 4, 4)),
        (Conv2d(4, 3, padding="full"), (9, 10, 4)),
        (Conv2d(4, 3, padding=(1, 0, 0, 2)), (6, 8, 4)),
        (Conv2d(4, (1, 8)), (7, 1, 4)),
        (Conv2d(4, 3, dilation=3), (1, 2, 4)),
        (Conv2d(4, 1, stride=5), (2, 2, 4)),
    ],
)
def test_output_sizes(layer: Conv2d, output: tuple[int, int, int]) -> None:
    assert layer.output_shape([(7, 8, 2)]) == output


def test_biases_are_spared_from_decay() -> None:
    for layer in (Conv2d(2, 3), LocallyConnected2d(2, 3)):
        assert [p.decays for p in layer.parameters([(5, 5, 1)])] == [True, False]
    assert len(Conv2d(2, 3, bias=False).parameters([(5, 5, 1)])) == 1


def test_dilation_widens_the_receptive_field() -> None:
    field = Conv2d(1, 3, dilation=2).receptive_field(ReceptiveField())
    assert field == ReceptiveField(5, 1)
    assert Conv2d(1, 3, stride=2).receptive_field(ReceptiveField(5, 4)) == ReceptiveField(13, 8)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv2d(4, 3, channels=4, name="c"), "conv 'c' expects 4 channels, got 3 from 'image' (8x9x3); use channels=3"),
        (Conv2d(4, 3, stride=0, name="c"), "conv 'c' on 'image' (8x9x3): stride is 0; it must be 1 or more"),
        (Conv2d(4, 3, groups=2, name="c"), "conv 'c' on 'image' (8x9x3): 2 groups do not divide 3 input channels"),
        (Conv2d(4, 3, padding=-1, name="c"), "conv 'c' on 'image' (8x9x3): padding (-1, -1, -1, -1) is negative"),
        (
            Conv2d(4, 11, name="c"),
            "a filter of 11x11 with dilation (1, 1) is larger than the padded 8x9 image; pad more",
        ),
        (LocallyConnected2d(3, 3, groups=3, name="c"), "local 'c' has 3 groups from 'image' (8x9x3); a locally"),
    ],
)
def test_errors_name_the_layer_and_its_source(layer: Conv2d, text: str) -> None:
    with pytest.raises(ShapeError) as error:
        layer(image_input((8, 9, 3)))
    assert text in str(error.value)


def test_a_vector_is_no_image() -> None:
    with pytest.raises(ShapeError, match=r"expects an image \(rows x columns x channels\), got 10 from 'image' \(10\)"):
        Conv2d(4, 3)(image_input((10,)))
