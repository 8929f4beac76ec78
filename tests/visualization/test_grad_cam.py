"""Grad-CAM against the paper's formula, calculated by loops in float64, and against networks with a known answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpunn.backend import open as open_device
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, GlobalMeanPool2d, Linear, MaxPool2d, ReLU, Softmax, Tanh
from gpunn.models.registry import MODELS
from gpunn.network import Network, Sequential
from gpunn.precision import precision
from gpunn.program.program import plan_program
from gpunn.program.specification import Specification
from gpunn.visualization.grad_cam import grad_cam, upsampled
from gpunn.visualization.layers import feature_maps
from tests.visualization.samples import Array, batch_of, learner_of, noise, set_weights

CLASSES = 3


@pytest.fixture(scope="module")
def emulator() -> Iterator[Device]:
    device = open_device("emulator")
    yield device
    device.close()


def small(*last: Softmax) -> Network:
    return Sequential(
        Conv2d(4, 3, padding=1, name="conv1"),
        ReLU(name="relu1"),
        Conv2d(5, 3, name="conv2"),
        BatchNorm(name="bn2"),
        ReLU(name="relu2"),
        MaxPool2d(2, name="pool2"),
        Dropout(0.5, name="drop"),
        Flatten(name="flatten"),
        Linear(None, 6, name="fc3"),
        Tanh(name="tanh3"),
        Linear(6, CLASSES, name="fc4"),
        *last,
    ).network((8, 6, 3), "small")


def score_after(maps: Array, weights: dict[str, Array], number: int) -> float:
    """What the layers behind relu2 make of feature maps of 6x4x5: pooling, two linear layers and tanh between them."""
    pooled = [
        max(maps[2 * p + r, 2 * q + s, k] for r in range(2) for s in range(2))
        for p in range(3)
        for q in range(2)
        for k in range(5)
    ]
    total = float(weights["fc4.bias"][number])
    for unit in range(6):
        potential = float(weights["fc3.bias"][unit])
        for place, value in enumerate(pooled):
            potential += value * weights["fc3.weight"][place, unit]
        total += np.tanh(potential) * weights["fc4.weight"][unit, number]
    return total


def expected_map(maps: Array, weights: dict[str, Array], number: int) -> Array:
    """Selvaraju et al., equations 1 and 2, with derivatives from central differences."""
    P, Q, K = maps.shape
    width = 1e-6
    importance = np.zeros(K)
    for k in range(K):
        for p in range(P):
            for q in range(Q):
                scores = []
                for sign in (1, -1):
                    moved = maps.copy()
                    moved[p, q, k] += sign * width
                    scores.append(score_after(moved, weights, number))
                importance[k] += (scores[0] - scores[1]) / (2 * width) / (P * Q)
    result = np.zeros((P, Q))
    for p in range(P):
        for q in range(Q):
            result[p, q] = max(0.0, sum(importance[k] * maps[p, q, k] for k in range(K)))
    return result


@pytest.mark.parametrize("number", range(CLASSES))
def test_the_map_is_that_of_the_paper(cpu: Device, number: int) -> None:
    network = small()
    learner = learner_of(network, cpu)
    batch = batch_of(noise(network))
    maps = dict(learner.inspect(batch))["relu2"][0]
    found = grad_cam(learner, batch, number, feature_maps(network))
    assert (found.label, found.class_number, found.map.dtype) == ("relu2", number, np.float64)
    expected = expected_map(maps, learner.state.export(), number)
    assert expected.any()
    np.testing.assert_allclose(found.map, expected, atol=1e-5 * expected.max())
    np.testing.assert_allclose(found.shares, expected / expected.max(), atol=1e-5)


def test_a_final_softmax_is_left_out(cpu: Device) -> None:
    """The probability of a class falls when the others' scores rise; its score does not."""
    network, with_softmax = small(), small(Softmax(name="softmax"))
    batch = batch_of(noise(network))
    maps = [grad_cam(learner_of(n, cpu), batch, 1, feature_maps(n)).map for n in (network, with_softmax)]
    assert maps[0].any()
    np.testing.assert_array_equal(maps[0], maps[1])


@pytest.mark.parametrize(("number_type", "tolerance"), [("float32", 1e-5), ("float16", 0.02)])
def test_a_gpu_computes_the_same(cpu: Device, emulator: Device, number_type: str, tolerance: float) -> None:
    network = small()
    batch = batch_of(noise(network))
    expected = grad_cam(learner_of(network, cpu), batch, 2, feature_maps(network)).map
    found = grad_cam(learner_of(network, emulator, number_type), batch, 2, feature_maps(network)).map
    np.testing.assert_allclose(found, expected, atol=tolerance * expected.max())


def crosses() -> Network:
    """One filter that answers to a cross and nothing else, and two classes: for and against it."""
    return Sequential(
        Conv2d(1, 3, name="conv"), ReLU(name="relu"), GlobalMeanPool2d(name="mean"), Linear(1, 2, name="scores")
    ).network((12, 10, 1), "crosses")


CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


def test_the_map_is_bright_where_the_patch_lies(cpu: Device) -> None:
    """Five pixels of 1 under weights of 1, the other four at -1, and a threshold of 4.5."""
    network = crosses()
    learner = learner_of(network, cpu)
    weights = {
        "conv.weight": np.where(CROSS, 1.0, -1.0).reshape(3, 3, 1, 1),
        "conv.bias": np.array([-4.5]),
        "scores.weight": np.array([[3.0, -3.0]]),
        "scores.bias": np.zeros(2),
    }
    set_weights(learner, weights)
    image = np.zeros((1, 12, 10, 1), np.uint8)
    image[0, 7:10, 2:5, 0] = 255 * CROSS
    image[0, 1:3, 6:9, 0] = 255
    found = grad_cam(learner, batch_of(image), 0, feature_maps(network))
    expected = np.zeros((10, 8))
    expected[7, 2] = 0.5 * 3 / (10 * 8)
    np.testing.assert_allclose(found.map, expected, atol=1e-12)
    against = grad_cam(learner, batch_of(image), 1, feature_maps(network))
    assert not against.map.any()
    assert not against.shares.any()


def test_upsampling_is_bilinear_between_the_centres_of_cells() -> None:
    cells = np.random.default_rng(0).uniform(size=(3, 4))
    expected = np.zeros((12, 10))
    for y in range(12):
        for x in range(10):
            v = min(max((y + 0.5) * 3 / 12 - 0.5, 0), 2)
            u = min(max((x + 0.5) * 4 / 10 - 0.5, 0), 3)
            top, left = min(int(v), 1), min(int(u), 2)
            a, b = v - top, u - left
            upper = (1 - b) * cells[top, left] + b * cells[top, left + 1]
            lower = (1 - b) * cells[top + 1, left] + b * cells[top + 1, left + 1]
            expected[y, x] = (1 - a) * upper + a * lower
    np.testing.assert_allclose(upsampled(cells, 12, 10), expected, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mlp"])
def test_every_model_with_a_convolution_has_a_program_for_it(cpu: Device, name: str) -> None:
    """The last convolution's activation: its gradient is kept, and nothing before it is differentiated."""
    network = MODELS[name].build(MODELS[name].image, MODELS[name].classes)
    node = feature_maps(network)
    convolutions = [label for label in network.labels.values() if label.startswith("conv")]
    assert network.labels[node] == convolutions[-1].replace("conv", "relu")
    specification = Specification(
        batch=1,
        mode="evaluate",
        precision=precision("float32"),
        keep=(node,),
        gradients_of=(node,),
        gradients_given=(network.outputs[0],),
    )
    plan = plan_program(network, cpu, specification)
    differentiated = {call.node for call in plan.calls if call.phase == "backward"}
    later = network.nodes[network.nodes.index(node) + 1 :]
    assert differentiated
    assert differentiated <= {network.labels[other] for other in later}


def test_a_network_without_convolution_has_no_map() -> None:
    network = MODELS["mlp"].build((28, 28, 1), 10)
    with pytest.raises(UsageError, match=r"mlp has no convolution.*--filters, --activations IMAGE, --errors"):
        feature_maps(network)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv9", "small has no layer 'conv9'; it has image, conv1, relu1, conv2, bn2"),
        ("fc3", "layer 'fc3' gives 6 and no feature maps.*take one of conv1, relu1, conv2, bn2, relu2, pool2, drop"),
    ],
)
def test_a_layer_that_cannot_be_taken_is_refused_with_those_that_can(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        feature_maps(small(), name)


@pytest.mark.parametrize("name", ["conv1", "conv2", "pool2", "drop"])
def test_other_layers_can_be_taken_by_name(cpu: Device, name: str) -> None:
    """The map is as large as what that layer gives; dropout gives what it is given."""
    network = small()
    learner = learner_of(network, cpu)
    batch = batch_of(noise(network))
    found = grad_cam(learner, batch, 0, feature_maps(network, name))
    assert found.label == name
    assert found.map.shape == {"conv1": (8, 6), "conv2": (6, 4), "pool2": (3, 2), "drop": (3, 2)}[name]
    if name == "drop":
        np.testing.assert_array_equal(found.map, grad_cam(learner, batch, 0, feature_maps(network, "pool2")).map)
