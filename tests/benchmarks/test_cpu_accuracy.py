"""The benchmark of rounding errors: its arithmetic, and that it tells a layer that rounds too much from others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import cpu_accuracy
from benchmarks.cpu.example_images import photographs
from benchmarks.cpu_accuracy import Error, Setting, errors, relative_error
from gpunn.backend import cpu
from gpunn.layers import BatchNorm, Conv2d, Flatten, Linear, ReLU
from gpunn.network import Network, Sequential
from tests import networks


@pytest.fixture(autouse=True)
def without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_accuracy, "find_spec", lambda name: None)


def small_network() -> Network:
    layers = [Conv2d(4, 3, padding=1, name="conv"), BatchNorm(name="bn"), ReLU(), Flatten(), Linear(256, 3, name="fc")]
    return Sequential(*layers).network((8, 8, 3), "small")


def found_in(network: Network, **options: Any) -> dict[tuple[str, str], Error]:
    images = np.random.default_rng(0).standard_normal((4, *network.image.shape), np.float32)
    found = errors(network, images, Setting("direct", 1, **options))
    return {(error.layer, error.result): error for error in found}


def off_by(factor: float, function: Callable[..., None]) -> Callable[..., None]:
    def changed(device: Any, **arguments: Any) -> None:
        function(device, **arguments)
        if arguments["gw"].dtype == np.float32:
            arguments["gw"] *= factor

    return changed


@pytest.mark.parametrize(
    ("found", "expected", "error"),
    [
        ([[3.0, 4.0]], [[3.0, 4.0]], 0.0),
        ([[3.0, 4.5]], [[3.0, 4.0]], 0.1),
        ([0.0], [0.0], 0.0),
        ([1e-30], [0.0], float("inf")),
        ([float("nan")], [1.0], float("nan")),
    ],
)
def test_an_error_is_a_share_of_the_norm(found: list[float], expected: list[float], error: float) -> None:
    assert relative_error(np.array(found), np.array(expected)) == pytest.approx(error, nan_ok=True)


@pytest.mark.parametrize(
    ("error", "of_inputs", "exceeds"),
    [
        (2e-6, None, False),
        (4e-6, None, True),
        (float("nan"), None, True),
        # Half a rounding of the inputs: the result is what its inputs say.
        (4e-6, 2.0**-25, True),
        # Ten roundings: the bound is ten times as large.
        (2.9e-5, 10 * 2.0**-24, False),
        (3.1e-5, 10 * 2.0**-24, True),
    ],
)
def test_a_bound_grows_with_what_the_inputs_leave_open(error: float, of_inputs: float | None, exceeds: bool) -> None:
    assert Error("conv", "direct", "output", "y", error, 3e-6, of_inputs, None).exceeds == exceeds


@pytest.mark.parametrize("options", [{}, {"steps": 2}, {"noise": True}])
def test_every_result_of_a_layer_is_held_against_float64(options: dict[str, Any]) -> None:
    found = found_in(small_network(), **options)
    results = ("output", "input gradient", "weight gradient", "bias gradient")
    assert {(layer, result) for layer in ("bn", "fc") for result in results} <= found.keys()
    # Nobody asks for the gradient of the images.
    assert [result for layer, result in found if layer == "conv"] == ["output", "weight gradient", "bias gradient"]
    assert all(0 < found["fc", result].error < 5e-7 for result in results)
    assert not any(error.exceeds for error in found.values())


@pytest.mark.parametrize("trained", [networks.branches(), networks.shared()], ids=["branches", "shared"])
def test_gradients_that_are_added_up_are_compared_as_such(trained: networks.Trained) -> None:
    errors_found = found_in(trained.network).values()
    assert len(errors_found) > 10
    assert not any(error.exceeds for error in errors_found)


def test_a_bias_before_batch_norm_may_be_all_rounding() -> None:
    error = found_in(small_network())["conv", "bias gradient"]
    assert error.error > 100 * error.bound
    assert not error.exceeds


@pytest.mark.parametrize(("factor", "exceeds"), [(1 + 2e-6, False), (1 + 5e-6, True)])
def test_a_layer_that_rounds_too_much_is_found(monkeypatch: pytest.MonkeyPatch, factor: float, exceeds: bool) -> None:
    monkeypatch.setattr(cpu, "linear_backward_weight", off_by(factor, cpu.linear_backward_weight))
    found = found_in(small_network())
    assert found["fc", "weight gradient"].error == pytest.approx(factor - 1, rel=0.2)
    assert [place for place, error in found.items() if error.exceeds] == [("fc", "weight gradient")] * exceeds


def test_a_table_names_what_exceeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--network", "lenet", "--batch", "2", "--threads", "1", "--algorithm", "winograd"]
    assert cpu_accuracy.main(options) == 0
    told = capsys.readouterr().out
    assert "0 of 24 results exceed their bound" in told
    assert "winograd F(4x4,5x5)" in told
    assert cpu_accuracy.main([*options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["bound"] for one in found if one["algorithm"].startswith("winograd")} == {2e-5}
    assert {one["bound"] for one in found if not one["algorithm"].startswith("winograd")} == {3e-6}
    monkeypatch.setattr(cpu, "linear_backward_weight", off_by(1.001, cpu.linear_backward_weight))
    assert cpu_accuracy.main(options) == 1
    told = capsys.readouterr().out
    assert "2 of 24 results exceed their bound" in told
    assert "1.0e-03" in next(line for line in told.splitlines() if line.startswith("fc3"))
    assert "fc3.weight: 1.0e-03" in told


def test_json_has_every_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert cpu_accuracy.main(["--network", "lenet", "--batch", "2", "--algorithm", "direct", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 24
    assert {"layer", "algorithm", "result", "array", "error", "bound", "exceeds"} <= found[0].keys()
    assert {error["bound"] for error in found} == {3e-6}


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_are_normalised_and_differ(channels: int) -> None:
    images = photographs(6, (20, 30, channels))
    assert images.shape == (6, 20, 30, channels)
    assert abs(images.mean()) < 1
    assert 0.5 < images.std() < 2
    # Neighbouring pixels are alike, which noise is not.
    assert np.abs(np.diff(images, axis=2)).mean() < 0.5 * np.abs(images - images.mean()).mean()
    assert len({image.tobytes() for image in images}) == 6
