"""Gradients that the host gives in place of a loss, or beside one: a program multiplies them by the Jacobian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import Conv2d, Dropout, Flatten, Linear, Tanh, image_input
from tests.networks import Trained, branches, labelled, norms, pools, shared
from tests.programs import bind, inputs_of, loss_of, plan, specify, state_of, write


@pytest.mark.parametrize("beside_a_loss", [False, True])
@pytest.mark.parametrize("build", [branches, norms, pools, shared], ids=lambda build: build.__name__)
def test_the_gradient_is_that_of_the_weighted_outputs(
    cpu: Device, build: Callable[[], Trained], beside_a_loss: bool
) -> None:
    """By central differences of the image's numbers, in float64."""
    trained = build()
    network = trained.network
    (output,) = network.outputs
    specification = specify(
        trained,
        *(2, "evaluate"),
        objectives=trained.objectives if beside_a_loss else (),
        gradients_of=(network.image,),
        gradients_given=(output,),
    )
    program = bind(plan(trained, cpu, specification), state_of(trained, cpu))
    given = inputs_of(trained, 2)
    if not beside_a_loss:
        del given["labels"]
    weights = np.random.default_rng(3).normal(size=(2, *output.shape))

    def run() -> float:
        write(program, given)
        program.write(f"grad {network.labels[output]}", weights)
        program.run()
        return float((program.read_output(output) * weights).sum()) + (loss_of(program) if beside_a_loss else 0.0)

    run()
    gradient = program.read(f"grad {network.image.name}")
    start = given[network.image.name]
    for index in np.random.default_rng(0).permutation(gradient.size)[:8]:
        values = []
        for width in (1e-5, -1e-5):
            given[network.image.name] = start.copy()
            given[network.image.name].flat[index] += width
            values.append(run())
        assert gradient.flat[index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_a_node_that_passes_its_input_through_gives_its_gradient_on(cpu: Device) -> None:
    """In evaluation dropout is not there: what is given to it is given to the layer before it."""
    chain = (Conv2d(3, 2), Tanh(), Flatten(), Linear(None, 3, name="scores"), Dropout(0.5, name="drop"))
    node = image = image_input((3, 3, 1))
    for layer in chain:
        node = layer(node)
    trained = labelled(node)
    features = trained.node("flatten1")
    state = state_of(trained, cpu)
    specification = specify(
        trained, 1, "evaluate", objectives=(), gradients_of=(features, image), gradients_given=(node,)
    )
    program = bind(plan(trained, cpu, specification), state)
    program.write("image", np.zeros((1, 3, 3, 1)))
    program.write("grad scores", np.array([[0.0, 1.0, 0.0]]))
    program.run()
    expected = state.parameters.export()["scores.weight"][:, 1]
    np.testing.assert_allclose(program.read("grad flatten1").reshape(-1), expected, rtol=1e-12)
    assert {buffer.name for buffer in program.inputs} == {"image", "grad scores"}


def test_a_node_of_another_network_is_refused(cpu: Device) -> None:
    trained, other = branches(), norms()
    with pytest.raises(UsageError, match="is not part of network"):
        plan(trained, cpu, specify(trained, 1, "evaluate", gradients_given=other.network.outputs))
