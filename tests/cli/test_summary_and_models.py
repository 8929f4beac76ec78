"""gpunn summary, gpunn models and gpunn check-gradients."""

from __future__ import annotations

import json
import re

import pytest

from gpunn.backend import cpu
from gpunn.models import MODELS
from tests.cli.conftest import Gpunn


def test_summary_as_json(gpunn: Gpunn) -> None:
    """The counts are those of the published single-tower network (Krizhevsky, 2014)."""
    result = gpunn("summary", "alexnet", "--json")
    assert (result.status, result.error) == (0, "")
    found = json.loads(result.out)
    assert list(found) == ["model", "input", "parameters", "flops", "training_memory_bytes", "layers"]
    assert (found["model"], found["input"], found["parameters"]) == ("alexnet", [224, 224, 3], 61_100_840)
    for layer in found["layers"]:
        assert list(layer) == ["name", "type", "output", "parameters", "flops", "receptive_field"]
    first = found["layers"][0]
    assert (first["name"], first["output"], first["parameters"]) == ("conv1", [55, 55, 64], 11 * 11 * 3 * 64 + 64)
    assert first["flops"] == 2 * 55 * 55 * 64 * 11 * 11 * 3
    assert first["receptive_field"] == 11
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"]
    assert sum(layer["flops"] for layer in found["layers"]) == found["flops"]


def test_summary_for_people(gpunn: Gpunn) -> None:
    text = gpunn("summary", "lenet").out
    assert "lenet for images of 28x28x1" in text
    assert "parameters 431,080" in text
    assert "memory of training with batch 1" in text


def test_input_classes_and_batch_change_the_summary(gpunn: Gpunn) -> None:
    small, large = (
        json.loads(gpunn("summary", "lenet", "--input", "32x32x3", "--classes", 7, "--batch", n, "--json").out)
        for n in (1, 64)
    )
    assert small["input"] == [32, 32, 3]
    assert small["layers"][-1]["output"] == [7]
    assert small["layers"][0]["parameters"] == 5 * 5 * 3 * 20 + 20
    assert small["flops"] == large["flops"]
    activations = 64 * 4 * (28 * 28 * 20)
    assert large["training_memory_bytes"] - small["training_memory_bytes"] > activations


def test_the_plan_lists_calls_and_buffers(gpunn: Gpunn) -> None:
    text = gpunn("summary", "lenet", "--plan").out
    for word in ("convolution2d_forward", "convolution2d_backward_filter", "softmax_cross_entropy", "conv1.weight"):
        assert word in text
    (backward,) = (line for line in text.splitlines() if "linear_backward_weight" in line and "fc4.weight" in line)
    assert backward.split("linear_backward_weight")[1].strip() == "grad fc4.weight, grad fc4.bias <- relu3, grad fc4"
    update = [line.split()[2] for line in text.splitlines() if line.split()[1:2] == ["update"]]
    assert update == ["sgd", "advance"]


def test_models(gpunn: Gpunn) -> None:
    found = json.loads(gpunn("models", "--json").out)
    assert [entry["model"] for entry in found] == list(MODELS)
    counts = {entry["model"]: entry["parameters"] for entry in found}
    assert (counts["lenet"], counts["vgg16"], counts["vgg19"]) == (431_080, 138_357_544, 143_667_240)
    for entry in found:
        assert list(entry) == ["model", "input", "classes", "parameters", "flops", "description"]
    text = gpunn("models").out
    assert len(text.splitlines()) == len(MODELS) + 2
    assert "138,357,544" in text


@pytest.mark.parametrize(
    "arguments",
    [("mlp", "--input", "5x5x1"), ("lenet", "--input", "17x16x2", "--classes", 3, "--batch", 3, "--samples", 2)],
)
def test_right_gradients(gpunn: Gpunn, arguments: tuple[object, ...]) -> None:
    result = gpunn("check-gradients", *arguments)
    assert (result.status, result.error) == (0, "")
    lines = result.out.splitlines()
    assert lines[1].startswith("fc1.weight") or lines[1].startswith("conv1.weight")
    assert lines[-1] == "all gradients agree to 1e-06"
    assert "WRONG" not in result.out


def test_one_class_has_no_gradients_to_check(gpunn: Gpunn) -> None:
    result = gpunn("check-gradients", "lenet", "--classes", 1)
    assert result.status == 2
    assert "'fc4' gives one score, whose softmax is always 1; check with 2 classes or more" in result.error


def test_gradients_that_are_all_zero(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "linear_backward_weight", lambda device, gw, gbias, **_: (gw.fill(0), gbias.fill(0)))
    result = gpunn("check-gradients", "mlp", "--input", "5x5x1")
    assert result.status == 1
    assert [line.endswith("NO GRADIENT") for line in result.out.splitlines()[1:-1]] == [True] * 6
    assert result.out.endswith("6 parameters differ by more than 1e-06, or have no gradient\n")


def test_wrong_gradients(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward pass that is off by one part in ten thousand, in one primitive."""
    original = cpu.linear_backward_weight

    def slightly_off(device: object, **arrays: object) -> None:
        original(device, **arrays)
        arrays["gw"] *= 1.0001

    monkeypatch.setattr(cpu, "linear_backward_weight", slightly_off)
    result = gpunn("check-gradients", "mlp", "--input", "5x5x1")
    assert result.status == 1
    wrong = [line.split()[0] for line in result.out.splitlines() if line.endswith("WRONG")]
    assert wrong == ["fc1.weight", "fc2.weight", "fc3.weight"]
    assert result.out.endswith("3 parameters differ by more than 1e-06, or have no gradient\n")


def test_the_algorithms_are_listed_layer_by_layer(gpunn: Gpunn) -> None:
    lines = gpunn("summary", "alexnet", "--batch", "32", "--algorithms").out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("convolution "))
    rows = {line.split()[0]: line for line in lines[first + 2 :]}
    assert list(rows) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert "224x224x3, 11x11, 64" in rows["conv1"]
    assert rows["conv2"].count("winograd F(") == rows["conv3"].count("winograd F(") == 3
    # Nobody wants the gradient of the pictures.
    assert {name: len(re.split(" {2,}", row)) for name, row in rows.items()} == {
        "conv1": 4, "conv2": 5, "conv3": 5, "conv4": 5, "conv5": 5,
    }  # fmt: skip


def test_the_algorithms_are_those_that_were_asked_for(gpunn: Gpunn) -> None:
    out = gpunn("summary", "vgg11-cifar", "--algorithms", "--algorithm", "direct").out
    assert "winograd" not in out
    assert "winograd F(" in gpunn("summary", "vgg11-cifar", "--algorithms", "--algorithm", "winograd").out
    result = gpunn("summary", "lenet", "--algorithms", "--algorithm", "fft")
    assert (result.status, result.error) == (2, "error: --algorithm 'fft' is not one of auto, direct, winograd\n")


def test_the_algorithms_are_text(gpunn: Gpunn) -> None:
    result = gpunn("summary", "lenet", "--algorithms", "--json")
    assert (result.status, result.error) == (2, "error: --algorithms prints text; leave out --json\n")
