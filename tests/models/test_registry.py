"""The list of models: names, adaptations, recipes, first values."""

from __future__ import annotations

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import ShapeError, UsageError
from gpunn.models import MODELS, Model, model
from gpunn.optimizers import optimizer
from gpunn.precision import precision
from gpunn.program.state import NetworkState
from gpunn.random import Stream, generator
from gpunn.schedules import parse_schedule

NAMES = {"mlp", "lenet", "lecture-cnn", "alexnet", "alexnet-2group", "zfnet"} | {
    f"vgg{depth}{norm}{size}" for depth in (11, 13, 16, 19) for norm in ("", "-bn") for size in ("", "-cifar")
}


def test_the_names_are_those_of_the_conventions() -> None:
    assert set(MODELS) == NAMES
    assert all(found.name == name for name, found in MODELS.items())


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(UsageError, match="did you mean 'vgg16-bn'") as error:
        model("vgg-16-bn")
    assert all(name in str(error.value) for name in NAMES)
    with pytest.raises(UsageError, match="model 'transformer' is not known; choose one of"):
        model("transformer")


def test_alexnet_2group_says_what_would_fit_an_image_of_224() -> None:
    with pytest.raises(ShapeError) as error:
        model("alexnet-2group").build((224, 224, 3), 1000)
    assert str(error.value) == (
        "linear 'fc6' expects 9216 inputs, got 6400 from 'pool5' (5x5x256); use Linear(6400, ...) or a 227x227 image"
    )


@pytest.mark.parametrize("name", ["alexnet", "zfnet", "vgg16", "vgg16-cifar"])
def test_strict_models_refuse_an_image_of_another_size(name: str) -> None:
    assert not model(name).flexible
    with pytest.raises(ShapeError, match="'fc6' expects"):
        model(name).build((96, 96, 3), 10)


@pytest.mark.parametrize("name", sorted(name for name, found in MODELS.items() if found.flexible))
@pytest.mark.parametrize("image", [(28, 28, 1), (17, 40, 3), (64, 64, 2)])
def test_flexible_models_take_any_image(name: str, image: tuple[int, int, int]) -> None:
    assert model(name).build(image, 3).outputs[0].shape == (3,)


@pytest.mark.parametrize("found", MODELS.values(), ids=MODELS.keys())
def test_recipes_can_be_used_as_they_stand(found: Model) -> None:
    recipe = found.recipe
    schedule = parse_schedule(recipe.schedule, recipe.learning_rate, recipe.epochs)
    assert 0 < schedule.learning_rate(0, 100) <= recipe.learning_rate
    assert schedule.learning_rate(100 * recipe.epochs - 1, 100) < 0.02 * recipe.learning_rate
    assert optimizer(recipe.optimizer, recipe.weight_decay, recipe.momentum).weight_decay == recipe.weight_decay
    assert recipe.batch_size >= 1


def test_the_papers_recipe_of_alexnet() -> None:
    recipe = model("alexnet-2group").recipe
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (0.01, 0.9, 5e-4)
    assert (recipe.batch_size, recipe.epochs) == (128, 90)
    schedule = parse_schedule(recipe.schedule, recipe.learning_rate, recipe.epochs)
    rates = {schedule.learning_rate(epoch, 1) for epoch in range(recipe.epochs)}
    np.testing.assert_allclose(sorted(rates), [1e-5, 1e-4, 1e-3, 1e-2])


def test_the_papers_first_values_of_alexnet_2group() -> None:
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    network = model("alexnet-2group").build((227, 227, 3), 1000)
    for name, parameter, layer in network.parameters():
        values = parameter.initializer.values((400,), parameter.fan_in, generator(0, Stream.INITIALIZATION))
        if parameter.name == "bias":
            assert np.unique(values) == (1.0 if layer.name in ones else 0.0), name
        else:
            assert values.std() == pytest.approx(0.01, rel=0.15), name


def test_a_model_starts_from_its_seed(cpu: Device) -> None:
    network = model("lenet").build((28, 28, 1), 10)
    states = [NetworkState(network, cpu, precision("float32")) for _ in range(3)]
    for state, seed in zip(states, (4, 4, 5), strict=True):
        state.initialize(seed)
    first, again, other = (state.export() for state in states)
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])
    assert not first["conv1.bias"].any()
    assert first["fc3.weight"].std() == pytest.approx(np.sqrt(2 / 800), rel=0.02)
