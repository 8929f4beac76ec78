"""Parameters, FLOPs and receptive fields of the models against published tables and the worked examples."""

from __future__ import annotations

import pytest

from gpunn.models import MODELS, model
from gpunn.network import LayerSummary, Network

PARAMETERS = {
    "lenet": 431_080,
    "lecture-cnn": 2_103_156,
    "alexnet": 61_100_840,
    "alexnet-2group": 60_965_224,
    "zfnet": 62_357_608,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11-bn": 132_868_840,
    "vgg13-bn": 133_053_736,
    "vgg16-bn": 138_365_992,
    "vgg19-bn": 143_678_248,
}

#: Convolutions, 3x3 filters with biases, and one linear layer of 512 x 10 + 10.
CIFAR_PARAMETERS = {"vgg11-cifar": 9_225_610, "vgg16-cifar": 14_719_818, "vgg16-bn-cifar": 14_728_266}


def network(name: str) -> Network:
    found = model(name)
    return found.build(found.image, found.classes)


def rows(name: str) -> dict[str, LayerSummary]:
    return {row.name: row for row in network(name).summary()}


@pytest.mark.parametrize(("name", "count"), [*PARAMETERS.items(), *CIFAR_PARAMETERS.items()])
def test_parameters(name: str, count: int) -> None:
    assert network(name).parameter_count == count
    assert sum(row.parameters for row in network(name).summary()) == count


@pytest.mark.parametrize(
    ("name", "giga"), [("alexnet", 1.43), ("vgg11", 15.22), ("vgg13", 22.62), ("vgg16", 30.94), ("vgg19", 39.26)]
)
def test_forward_flops(name: str, giga: float) -> None:
    assert network(name).flops / 1e9 == pytest.approx(giga, abs=0.006)


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("alexnet", "pool5", 195),
        ("alexnet-2group", "pool5", 195),
        ("vgg16", "pool5", 212),
        ("vgg16-bn", "pool5", 212),
        ("lecture-cnn", "conv2", 7),
        ("lenet", "pool2", 16),
    ],
)
def test_receptive_fields(name: str, layer: str, size: int) -> None:
    assert rows(name)[layer].receptive_field == size


def test_the_worked_network_layer_by_layer() -> None:
    found = rows("lecture-cnn")
    assert [found[name].parameters for name in ("conv1", "conv2", "fc3", "fc4")] == [224, 3_216, 2_097_664, 2_052]
    assert found["conv1"].output == (32, 32, 8)
    assert found["conv2"].output == (16, 16, 16)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("alexnet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("alexnet-2group", {"conv1": 55, "norm1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("zfnet", {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("vgg19", {"conv1_2": 224, "pool1": 112, "pool2": 56, "pool3": 28, "conv5_4": 14, "pool5": 7}),
        ("vgg11-cifar", {"conv1_1": 32, "pool1": 16, "pool5": 1}),
    ],
)
def test_map_sizes_are_those_of_the_papers(name: str, outputs: dict[str, int]) -> None:
    found = rows(name)
    assert {layer: found[layer].output[0] for layer in outputs} == outputs


def test_the_first_convolution_of_alexnet_2group_counts_as_the_paper_does() -> None:
    """290,400 outputs of conv1; conv2, conv4 and conv5 see half of the maps before them."""
    found = rows("alexnet-2group")
    height, width, filters = found["conv1"].output
    assert height * width * filters == 290_400
    assert found["conv2"].parameters == 256 * 5 * 5 * 48 + 256
    assert found["conv4"].parameters == 384 * 3 * 3 * 192 + 384
    assert found["conv5"].parameters == 256 * 3 * 3 * 192 + 256


def test_every_model_ends_in_its_classes() -> None:
    for found in MODELS.values():
        built = found.build(found.image, 7)
        assert built.outputs[0].shape == (7,)
        assert built.name == found.name
