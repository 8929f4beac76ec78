"""Gradients of whole networks, every kind of layer among them, against differences of their float64 losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.program.program import Program
from tests.networks import NEED_SEVERAL_IMAGES, NETWORKS, Trained
from tests.programs import Host, bind, inputs_of, loss_of, plan, specify, state_of, write

#: Elements of each array whose derivative is measured: of those that have a gradient, and of those that have none.
SAMPLES = 7
ZEROS = 2

#: The largest gradient of an array that counts as none.
NONE = 1e-8

#: What has no gradient: biases that a batch norm takes away, and what lies before a step.
WITHOUT_GRADIENT = {
    ("norms", "conv1.bias"),
    ("vector_batch_norm", "linear1.bias"),
    ("shared", "conv1.bias"),
    ("activations", "conv8.weight"),
    ("activations", "conv8.bias"),
}

CASES = [
    pytest.param(build, batch, id=f"{build.__name__} {batch}")
    for build in NETWORKS
    for batch in (1, 3, 5)
    if batch > 1 or build not in NEED_SEVERAL_IMAGES
]

#: Steps of the differences; small enough that no kink lies within two of them for the seeds used here.
WIDTH = 1e-4


def differences(values: Host, upload: Callable[[Host], None], program: Program, indices: Host) -> Host:
    """Fourth-order central differences of the loss for some elements of an array, which is then put back."""
    slopes = []
    for index in indices:
        slope = 0.0
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = values.copy()
            moved.flat[index] += steps * WIDTH
            upload(moved)
            program.run()
            slope += weight * loss_of(program)
        slopes.append(slope / (12 * WIDTH))
    upload(values)
    return np.array(slopes)


def assert_close(name: str, found: Host, expected: Host, scale: float) -> None:
    error = np.abs(found - expected).max()
    assert error <= 1e-6 * max(scale, np.abs(expected).max()), f"{name}: {found} instead of {expected}"


def chosen(gradient: Host, numbers: np.random.Generator) -> Host:
    """Places in an array: most of them of elements that have a gradient."""
    reached, unreached = (
        numbers.permutation(np.flatnonzero(gradient)),
        numbers.permutation(np.flatnonzero(gradient == 0)),
    )
    return np.concatenate([reached[:SAMPLES], unreached[:ZEROS]])


@pytest.mark.parametrize(("build", "batch"), CASES)
def test_gradients_are_those_of_differences(cpu: Device, build: Callable[[], Trained], batch: int) -> None:
    trained = build()
    state = state_of(trained, cpu)
    image = trained.network.image
    program = bind(plan(trained, cpu, specify(trained, batch, gradients_of=(image,))), state)
    given = inputs_of(trained, batch)
    write(program, given)
    program.run()
    assert state.gradients is not None
    found = {**state.gradients.export(), image.name: program.read(f"grad {image.name}")}
    values = {**state.parameters.export(), image.name: given[image.name]}
    numbers = np.random.default_rng(0)
    for name, gradient in found.items():
        vanishes = (build.__name__, name) in WITHOUT_GRADIENT
        assert (np.abs(gradient).max() < NONE) == vanishes, f"{build.__name__} {name} with {batch}: {gradient}"
        indices = chosen(gradient, numbers)

        def upload(host: Host, name: str = name) -> None:
            if name == image.name:
                program.write(name, host)
            else:
                state.device.upload(state.parameters.part(name), host)

        expected = differences(values[name], upload, program, indices)
        assert_close(f"{build.__name__} {name}", gradient.flat[indices], expected, scale=1e-4)
