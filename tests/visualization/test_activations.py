"""Feature maps: which layers are shown, their numbers, and what is silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.graph import Node
from gpunn.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Tanh,
    image_input,
)
from gpunn.models.registry import MODELS
from gpunn.network import Network, Sequential
from gpunn.visualization.activations import activation_page, layer_outputs
from gpunn.visualization.layers import stages
from tests.visualization.samples import (
    drawn_sheet,
    learner_of,
    noise,
    pixels_of,
    places,
    run_of,
    seen,
    set_weights,
    squares,
)


def chain() -> Network:
    return Sequential(
        Conv2d(4, 3, name="conv1"),
        BatchNorm(name="bn1"),
        ReLU(name="relu1"),
        LocalResponseNorm(name="norm1"),
        MaxPool2d(2, name="pool1"),
        Dropout(0.5, name="drop"),
        Flatten(name="flatten"),
        Linear(None, 7, name="fc2"),
        Tanh(name="tanh2"),
        Linear(7, 3, name="fc3"),
    ).network((14, 14, 1), "chain")


def test_a_layer_is_shown_with_what_finishes_it() -> None:
    labels = [stage.label for stage in stages(chain())]
    assert labels == ["conv1, bn1, relu1", "norm1", "pool1", "fc2, tanh2", "fc3"]


def test_what_several_layers_read_is_shown_by_itself() -> None:
    image = image_input((6, 6, 2))
    stem: Node = Conv2d(2, 3, padding=1, name="stem")(image)
    left = ReLU(name="left")(stem)
    joined = Concatenate(name="joined")(left, Add(name="sum")(stem, image))
    network = Network(Linear(None, 2, name="scores")(Flatten(name="flat")(joined)))
    assert [stage.label for stage in stages(network)] == ["stem", "left", "sum", "joined", "scores"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_stages(name: str) -> None:
    """They hold every layer but those that hand on what they are given, each once."""
    network = MODELS[name].build(MODELS[name].image, MODELS[name].classes)
    shown = [node for stage in stages(network) for node in stage.nodes]
    handing_on = ("image", "flatten", "drop6", "drop7")
    assert [network.labels[node] for node in shown] == [n for n in network.labels.values() if n not in handing_on]
    assert all(stage.shown.name.startswith(("relu", "pool", "norm", "fc")) for stage in stages(network))


def test_outputs_are_those_that_the_network_computes(cpu: Device) -> None:
    learner = learner_of(chain(), cpu)
    image = seen(learner, noise(learner.network))
    computed = dict(learner.inspect(image.batch))
    outputs = layer_outputs(learner, image)
    names = ["relu1", "norm1", "pool1", "tanh2", "fc3"]
    assert [output.gives_scores for output in outputs] == [False, False, False, False, True]
    for output, name in zip(outputs, names, strict=True):
        np.testing.assert_array_equal(output.values, computed[name][0])
    (before,) = layer_outputs(learner, image, "conv1")
    assert before.values.min() < 0
    np.testing.assert_array_equal(before.values, computed["conv1"][0])
    with pytest.raises(UsageError, match="chain has no layer 'conv7'; it has image, conv1"):
        layer_outputs(learner, image, "conv7")


def test_silent_channels_are_found_and_crossed(cpu: Device) -> None:
    """A large negative shift silences channel 2; the others are zero in places, or the same everywhere."""
    learner = learner_of(chain(), cpu)
    weights = np.random.default_rng(0).normal(size=(3, 3, 1, 4))
    weights[..., 0] = 0
    fixed = {"conv1.bias": np.zeros(4), "bn1.running_mean": np.zeros(4), "bn1.weight": np.ones(4)}
    set_weights(learner, {**fixed, "bn1.bias": np.array([9.0, 0.0, -1e6, 0.0]), "conv1.weight": weights})
    image = seen(learner, noise(learner.network))
    output = layer_outputs(learner, image)[0]
    assert [np.count_nonzero(output.values[..., k] == 0) > 0 for k in range(4)] == [False, True, True, True]
    assert output.silent.tolist() == [False, False, True, False]
    page = pixels_of(activation_page(run_of(learner), image, "relu1").content)
    crossed = np.full((96, 96, 3), 225, np.uint8)
    for place in range(96):
        crossed[place, place] = crossed[place, 95 - place] = 150
    assert len(places(page, crossed)) == 1


def test_feature_maps_are_drawn_on_one_scale(cpu: Device) -> None:
    """Channel k is k everywhere: the last one has magma's brightest colour, those before it are darker in turn."""
    learner = learner_of(chain(), cpu)
    ends = {"conv1.weight": np.zeros((3, 3, 1, 4)), "conv1.bias": np.zeros(4), "bn1.weight": np.ones(4)}
    ends |= {"bn1.running_mean": np.zeros(4), "bn1.running_variance": np.ones(4), "bn1.bias": np.array([0, 1, 2, 3.0])}
    set_weights(learner, ends)
    page = pixels_of(activation_page(run_of(learner), seen(learner, noise(learner.network)), "bn1").content)
    brightest = squares(np.full((12, 12, 3), (251, 252, 191)), 8)
    assert len(places(page, brightest)) == 1
    ((row, last),) = places(page, brightest)
    shades = [page[row + 48, last + 48 - 106 * back].astype(int).sum() for back in (0, 1, 2)]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 3


def test_the_page_is_named_after_image_and_layer(cpu: Device) -> None:
    learner = learner_of(chain(), cpu)
    image = seen(learner, noise(learner.network))
    run = run_of(learner)
    assert image.path == Path("some/image.png")
    assert activation_page(run, image).name == "activations-image.png"
    assert activation_page(run, image, "pool1").name == "activations-image-pool1.png"
    few, all_of_them = (pixels_of(activation_page(run, image, "conv1", count).content) for count in (1, 4))
    assert few.shape == all_of_them.shape
    assert (few == 255).sum() > (all_of_them == 255).sum()


def test_vectors_are_strips_read_row_by_row(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """700 numbers in rows of 512: -2 is blue, 0 white, 2 red, and the end of the last row is blank."""
    network = Sequential(Flatten(name="flat"), Linear(None, 700, name="fc1"), Linear(700, 3, name="fc2")).network(
        (2, 2, 1), "wide"
    )
    learner = learner_of(network, cpu)
    biases = np.zeros(700)
    biases[[0, 1, 512, 699]] = (2, -2, -2, 2)
    set_weights(learner, {"fc1.weight": np.zeros((4, 700)), "fc1.bias": biases})
    image = seen(learner, noise(network))
    drawn = drawn_sheet(monkeypatch, "activations", lambda: activation_page(run_of(learner), image))
    _, strip, scores = drawn.bands
    assert strip.heading == "fc1: 700, from -2 to 2"
    (tile,) = strip.tiles
    wide, tall = tile.pixels.shape[1] // 512, tile.pixels.shape[0] // 2
    cells = tile.pixels[::tall, ::wide]
    assert np.array_equal(squares(cells, 1).repeat(tall, axis=0).repeat(wide, axis=1), tile.pixels)
    blue, white, red = (5, 48, 97), (247, 247, 247), (103, 0, 31)
    assert [tuple(cells[place].tolist()) for place in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 187))] == [
        *(red, blue, white, blue, red)
    ]
    assert (cells[1, 188:] == 255).all()
    assert [tile.caption[0] for tile in scores.tiles] == ["ape", "bee", "cat"]
