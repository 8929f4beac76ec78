"""Graphs: order, automatic names, other image sizes."""

from __future__ import annotations

import pytest

from gpunn.errors import UsageError
from gpunn.graph import describe_shape, image_size_that_fits, origin, reshape_graph, topological_order
from gpunn.layers import Add, Conv2d, Dropout, Flatten, Identity, Linear, MaxPool2d, ReLU, image_input


def test_layers_without_a_name_are_counted_by_kind_within_their_graph() -> None:
    first, second = image_input((6, 6, 1)), image_input((6, 6, 1))
    assert Conv2d(1, 1)(first).name == "conv1"
    assert Conv2d(1, 1)(first).name == "conv2"
    assert MaxPool2d(2)(first).name == "pool1"
    assert Conv2d(1, 1)(second).name == "conv1"


def test_an_identity_is_not_counted_among_the_linear_layers() -> None:
    node = Identity()(image_input((3,)))
    assert (node.name, node.layer.kind) == ("identity1", "identity")
    assert Linear(3, 2)(node).name == "linear1"


def test_every_node_comes_after_its_inputs_and_once() -> None:
    image = image_input((4, 4, 2))
    left, right = ReLU()(image), Conv2d(2, 1)(image)
    total = Add()(Add()(right, left), left)
    order = topological_order([total, left])
    assert len(order) == len(set(order)) == 5
    places = {node: place for place, node in enumerate(order)}
    assert all(places[source] < places[node] for node in order for source in node.inputs)


def test_a_thousand_layers_are_no_problem() -> None:
    node = image_input((2,))
    for _ in range(5000):
        node = ReLU()(node)
    assert len(topological_order([node])) == 5001


def test_a_graph_can_be_asked_about_another_image() -> None:
    image = image_input((8, 8, 1))
    convolved = Conv2d(3, 3)(image)
    features = Flatten()(convolved)
    shapes = reshape_graph([features], (10, 5, 1))
    assert shapes[convolved] == (8, 3, 3)
    assert shapes[features] == (72,)
    assert features.shape == (108,)
    with pytest.raises(UsageError):
        reshape_graph([features], (2, 2, 1))


def test_the_nearest_image_size_that_gives_a_number_of_features() -> None:
    features = Flatten()(MaxPool2d(2)(Conv2d(3, 3)(image_input((8, 8, 1)))))
    assert image_size_that_fits(features, 5 * 5 * 3) == 12
    assert image_size_that_fits(features, 2 * 2 * 3) == 7
    assert image_size_that_fits(features, 7) is None
    assert image_size_that_fits(ReLU()(image_input((7,))), 9) is None


def test_origin_passes_what_changes_no_number() -> None:
    relu = ReLU()(Conv2d(3, 3)(image_input((8, 8, 1))))
    assert origin(Dropout()(Flatten()(relu))) is relu
    assert origin(Linear(None, 2)(Flatten()(relu))).name == "linear1"


def test_shapes_are_written_with_crosses() -> None:
    assert describe_shape((5, 5, 256)) == "5x5x256"
    assert describe_shape((6400,)) == "6400"
