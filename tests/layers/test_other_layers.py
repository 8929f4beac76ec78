"""Linear, merging, normalising, dropout and activation layers: shapes, parameters, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import ShapeError, UsageError
from gpunn.initializers import Constant, Normal
from gpunn.layers import (
    ELU,
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    PReLU,
    ReLU,
    Softmax,
    Tanh,
    image_input,
)
from gpunn.network import Network, Sequential
from tests.networks import Trained
from tests.programs import bind, plan, specify, state_of


def count(network_of: tuple[int, ...]) -> int:
    """Parameters of linear layers with biases of these widths."""
    layers = [Linear(None, width) for width in network_of[1:]]
    return Sequential(*layers).network(network_of[:1]).parameter_count


def test_a_3_25_12_network_has_412_parameters() -> None:
    assert count((3, 25, 12)) == 412


def test_k_hidden_layers_of_width_w_have_w_squared_times_k_plus_1_weights() -> None:
    layers = [Linear(4, 4, bias=False) for _ in range(3 + 1)]
    assert Sequential(*layers).network((4,)).parameter_count == 64


def test_linear_says_what_would_fit() -> None:
    features = Flatten()(Conv2d(2, 3, name="c")(image_input((6, 6, 1))))
    with pytest.raises(ShapeError) as error:
        Linear(50, 3, name="fc")(features)
    assert str(error.value) == (
        "linear 'fc' expects 50 inputs, got 32 from 'c' (4x4x2); use Linear(32, ...) or a 7x7 image"
    )
    with pytest.raises(ShapeError, match=r"got 32 from 'c' \(4x4x2\); use Linear\(32, \.\.\.\)$"):
        Linear(51, 3, name="fc")(features)
    with pytest.raises(ShapeError, match=r"expects a vector, got 6x6x1 from 'image' \(6x6x1\); put a Flatten"):
        Linear(36, 3)(image_input((6, 6, 1)))
    with pytest.raises(UsageError, match="0 outputs"):
        Linear(3, 0)


def test_errors_look_through_flatten_and_dropout_but_not_through_activations() -> None:
    hidden = ReLU(name="r")(Linear(4, 6, name="first")(image_input((4,))))
    with pytest.raises(ShapeError, match=r"got 6 from 'r' \(6\)"):
        Linear(5, 2)(Dropout(0.5)(Flatten()(hidden)))


def test_initialisers_are_those_given() -> None:
    weight, bias = Linear(3, 2, weight=Normal(0.1), bias_value=Constant(1.0)).parameters([(3,)])
    assert weight.initializer == Normal(0.1)
    assert bias.initializer == Constant(1.0)
    assert (weight.fan_in, weight.decays, bias.decays) == (3, True, False)


def test_flatten_and_merging() -> None:
    left, right = (4, 5, 2), (4, 5, 3)
    assert Flatten().output_shape([left]) == (40,)
    assert Concatenate().output_shape([left, right]) == (4, 5, 5)
    assert Concatenate().output_shape([(7,), (2,)]) == (9,)
    assert Add().output_shape([left, left, left]) == left
    a, b = image_input(left, "a"), image_input(right, "b")
    with pytest.raises(
        ShapeError, match=r"add 'add1' expects equal shapes, got 4x5x2 and 4x5x3 from 'a' \(4x5x2\) and"
    ):
        Add()(a, b)
    with pytest.raises(ShapeError, match="equal rows and columns, got 4x5x2 and 40"):
        Concatenate()(a, Flatten()(a))
    with pytest.raises(ShapeError, match="takes one input, got 2"):
        Flatten()(a, b)
    with pytest.raises(UsageError, match="layer 'add' needs a node to work on; call it on image_input"):
        Add()()


def test_norms_have_a_scale_and_a_shift_per_channel_that_do_not_decay() -> None:
    for layer in (BatchNorm(), GroupNorm(2)):
        parameters = layer.parameters([(3, 3, 6)])
        assert [(p.name, p.shape, p.decays) for p in parameters] == [("weight", (6,), False), ("bias", (6,), False)]
    assert [(s.name, s.shape, s.initial) for s in BatchNorm().statistics([(3, 3, 6)])] == [
        ("running_mean", (6,), 0.0),
        ("running_variance", (6,), 1.0),
    ]
    with pytest.raises(ShapeError, match="gn 'g' has 4 groups, which do not divide 6 channels"):
        GroupNorm(4, name="g")(image_input((3, 3, 6)))
    with pytest.raises(ShapeError, match="expects an image"):
        LocalResponseNorm()(image_input((6,)))


def test_prelu_learns_a_slope_per_channel() -> None:
    (slope,) = PReLU(0.3).parameters([(3, 3, 6)])
    assert (slope.shape, slope.initializer, slope.decays) == ((6,), Constant(0.3), False)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Dropout(mode="clasic"), "dropout: mode is 'clasic'"),
        (lambda: BatchNorm(momentum=3.0), "momentum is 3.0"),
        (lambda: BatchNorm(eps=-1.0), "eps is -1.0"),
        (lambda: GroupNorm(2, eps=0.0), "eps is 0.0"),
        (lambda: GroupNorm(2.0), "a group norm with 2.0 groups; it needs a whole number of 1 or more"),
        (lambda: GroupNorm(0), "a group norm with 0 groups"),
        (lambda: LocalResponseNorm(n=0), "n is 0"),
        (lambda: ELU(float("inf")), "elu: a is inf"),
        (lambda: PReLU(float("nan")), "a constant of nan; it must be finite"),
        (lambda: Linear(None, 2.5), "a linear layer with 2.5 outputs; it needs a whole number of 1 or more"),
        (lambda: Linear(0, 2), "a linear layer with 0 inputs; it needs a whole number of 1 or more, or None"),
        (lambda: Conv2d(4, 2.5), r"2.5 is neither a whole number nor two of them, \(rows, columns\)"),
        (lambda: Conv2d(4, 3, stride=(1, 2, 3)), r"\(1, 2, 3\) is neither a whole number"),
        (lambda: MaxPool2d((2, 1.5)), r"\(2, 1.5\) is neither a whole number"),
        (lambda: Conv2d(2.5, 3)(image_input((5, 5, 1))), "K is 2.5; it must be a whole number"),
        (lambda: Conv2d(2, 3, groups=1.0)(image_input((5, 5, 1))), "groups is 1.0; it must be a whole number"),
        (lambda: Conv2d(2, 3, padding=(1, 1.5, 0, 0))(image_input((5, 5, 1))), r"padding \(1, 1.5, 0, 0\)"),
        (lambda: image_input((0, 5, -1)), r"images of shape \(0, 5, -1\); give \(rows, columns, channels\)"),
        (lambda: image_input((5, 5)), r"images of shape \(5, 5\)"),
        (lambda: image_input((2.5,)), r"images of shape \(2.5,\)"),
    ],
)
def test_settings_outside_their_range_are_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()


def test_numbers_of_numpy_are_whole_numbers() -> None:
    image = image_input(tuple(np.array([6, 5, 2])))
    assert image.shape == (6, 5, 2)
    convolved = Conv2d(np.int64(3), np.int32(2), stride=(np.int64(2), 1))(image)
    assert Linear(np.int64(36), np.int64(4))(Flatten()(convolved)).shape == (4,)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_dropout_refuses_what_is_no_probability_to_drop(p: float) -> None:
    with pytest.raises(UsageError, match=f"p is {p}"):
        Dropout(p)


def test_a_leaky_relu_refuses_a_slope_above_1() -> None:
    with pytest.raises(UsageError, match=r"a is 1\.5.*generalized_relu"):
        LeakyReLU(1.5)
    assert ELU(1.5).kind == "elu"


def test_softmax_takes_vectors_only() -> None:
    with pytest.raises(ShapeError, match="softmax 's' expects a vector, got 2x2x1 from 'image'"):
        Softmax(name="s")(image_input((2, 2, 1)))


@pytest.mark.parametrize(("layer", "factor"), [(Dropout(0.3, "classic"), 0.7), (Dropout(0.3), 1.0)])
def test_dropout_scales_at_test_time_in_its_classic_mode_only(cpu: Device, layer: Dropout, factor: float) -> None:
    dropped = layer(Tanh()(image_input((2, 3, 2))))
    trained = Trained(Network(dropped), ())
    program = bind(plan(trained, cpu, specify(trained, 5, "evaluate")), state_of(trained, cpu))
    images = np.random.default_rng(0).normal(size=(5, 2, 3, 2))
    program.write("image", images)
    program.run()
    np.testing.assert_allclose(program.read_output(dropped), factor * np.tanh(images), rtol=1e-14)


@pytest.mark.parametrize(("layer", "factor"), [(Dropout(0.3, "classic"), 1.0), (Dropout(0.3), 1 / 0.7)])
def test_dropout_scales_while_training_in_its_inverted_mode_only(cpu: Device, layer: Dropout, factor: float) -> None:
    dropped = layer(image_input((8, 8, 2)))
    trained = Trained(Network(dropped), ())
    program = bind(plan(trained, cpu, specify(trained, 5)), state_of(trained, cpu))
    program.write("image", np.ones((5, 8, 8, 2)))
    program.run()
    output = program.read_output(dropped)
    assert set(np.unique(output.round(12))) == {0.0, round(factor, 12)}
    assert (output == 0).mean() == pytest.approx(0.3, abs=0.06)
