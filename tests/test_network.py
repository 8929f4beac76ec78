"""Networks: names, shared layers, branches, parameters in order, and the table that describes them."""

from __future__ import annotations

import pytest

from gpunn.backend.contract import Device
from gpunn.errors import ShapeError, UsageError
from gpunn.layers import Add, BatchNorm, Concatenate, Conv2d, Flatten, GlobalMeanPool2d, Linear, ReLU, image_input
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.network import Network, Sequential
from tests.networks import Trained, plain, several_losses, shared
from tests.programs import plan, specify


def test_two_layers_of_one_name_are_refused() -> None:
    chain = Sequential(Linear(3, 3, name="fc"), Linear(3, 3, name="fc"))
    with pytest.raises(UsageError, match="network 'twins' has two layers named 'fc'; rename one"):
        chain.network((3,), "twins")


@pytest.mark.parametrize("name", ["b@2", "b:mask", "grad b", "optimizer/momentum/b", ""])
def test_names_that_programs_build_themselves_are_refused(name: str) -> None:
    """Beside a layer "b" that is used twice, "b@2" would share a buffer with its second use."""
    image = image_input((3,))
    shared = Linear(3, 3, name="b")
    other = Linear(3, 3, name=name)
    with pytest.raises(UsageError, match=f"network 'net' has a layer named {name!r}; .*: rename it"):
        Network(Add()(shared(shared(image)), other(image)), "net")
    with pytest.raises(UsageError, match="has a layer named 'a:b'"):
        Network(ReLU()(image_input((3,), "a:b")))


def test_a_network_has_one_image() -> None:
    with pytest.raises(UsageError, match="has 2 inputs; it needs exactly one image"):
        Network(Add()(image_input((3,), "a"), image_input((3,), "b")))


def test_a_shared_layer_has_its_parameters_once_and_a_label_per_use() -> None:
    trained = shared()
    names = [name for name, _, _ in trained.network.parameters()]
    assert len(names) == len(set(names)) == 6
    assert {"conv1", "conv1@2", "bn1", "bn1@2", "linear1", "linear1@2"} <= set(trained.network.labels.values())
    assert trained.network.parameter_count == (3 * 3 * 2 * 2 + 2) + 4 + (24 * 3 + 3)
    rows = {row.name: row for row in trained.network.summary()}
    assert rows["conv1"].parameters == 38
    assert rows["conv1@2"].parameters == 0
    assert rows["conv1@2"].flops == rows["conv1"].flops > 0


def test_a_shared_layer_that_does_not_fit_its_second_place_is_refused() -> None:
    image = image_input((6,))
    linear = Linear(None, 4, name="fc")
    with pytest.raises(ShapeError, match="linear 'fc' is used on 6 and again on 4, for which its weight of 6x4"):
        Network(linear(linear(image)))


def test_branches_have_the_widest_receptive_field_and_the_sum_of_their_channels() -> None:
    image = image_input((8, 8, 3))
    left = Conv2d(2, 3, padding=1, name="narrow")(image)
    right = Conv2d(5, 7, padding=3, name="wide")(image)
    joined = Concatenate(name="join")(left, right)
    network = Network(Linear(None, 2, name="fc")(GlobalMeanPool2d(name="mean")(joined)))
    rows = {row.name: row for row in network.summary()}
    assert rows["join"].output == (8, 8, 7)
    assert rows["narrow"].receptive_field == 3
    assert rows["join"].receptive_field == 7
    assert rows["fc"].receptive_field is None
    assert network.flops == sum(row.flops for row in network.summary())
    assert network.flops == 2 * 64 * (2 * 27 + 5 * 147) + 2 * 7 * 2


def test_parameters_and_statistics_have_full_names_in_the_order_of_the_graph() -> None:
    network = Sequential(Conv2d(2, 3), BatchNorm(), ReLU(), Flatten(), Linear(None, 2)).network((4, 4, 1))
    assert [name for name, _, _ in network.parameters()] == [
        "conv1.weight",
        "conv1.bias",
        "bn1.weight",
        "bn1.bias",
        "linear1.weight",
        "linear1.bias",
    ]
    assert [name for name, _ in network.statistics()] == ["bn1.running_mean", "bn1.running_variance"]


def test_a_sequential_is_used_like_a_layer() -> None:
    block = Sequential(Conv2d(3, 3, padding=1), ReLU())
    image = image_input((4, 4, 3))
    network = Network(Add()(block(image), image))
    assert [row.type for row in network.summary()] == ["conv", "relu", "add"]


def test_several_outputs_are_all_part_of_the_network() -> None:
    trained = several_losses()
    assert [node.name for node in trained.network.outputs] == ["scores", "values"]


def test_an_objective_on_a_node_of_another_network_is_refused(cpu: Device) -> None:
    stranger = Objective(plain().network.outputs[0], SoftmaxCrossEntropy())
    trained = Trained(plain().network, (stranger,))
    with pytest.raises(UsageError, match="node 'linear2' is not part of network"):
        plan(trained, cpu, specify(trained, 2))
