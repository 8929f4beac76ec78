"""What programs promise: micro-batches, frozen layers, kept nodes, wanted gradients, dropout masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpunn.backend import open as open_device
from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from gpunn.errors import UsageError
from gpunn.layers import BatchNorm, Conv2d, Dropout, Flatten, Identity, Linear, ReLU, Tanh, image_input
from gpunn.losses import Objective, SoftmaxCrossEntropy, SquaredError
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.program.program import share_memory
from gpunn.program.specification import Mode
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from tests.networks import (
    Trained,
    branches,
    dropouts,
    labelled,
    local,
    norms,
    one_pixel_batch_norm,
    plain,
    pools,
    several_losses,
    shared,
    strange_sizes,
    vector_batch_norm,
)
from tests.programs import FLOAT64, Host, bind, inputs_of, loss_of, plan, run, specify, state_of, write

WITHOUT_BATCH_NORM = (plain, strange_sizes, pools, branches, several_losses, local, dropouts)


@pytest.mark.parametrize("build", WITHOUT_BATCH_NORM, ids=lambda build: build.__name__)
def test_gradients_of_parts_add_up_to_those_of_the_batch(cpu: Device, build: Callable[[], Trained]) -> None:
    trained = build()
    given = inputs_of(trained, 5)
    state = state_of(trained, cpu)
    assert state.gradients is not None
    state.set_control("step", 7)
    whole = bind(plan(trained, cpu, specify(trained, 5)), state)
    write(whole, given)
    whole.run()
    expected = state.gradients.export()

    plans = [plan(trained, cpu, specify(trained, size, accumulate_gradients=size == 3)) for size in (2, 3)]
    first, second = share_memory(plans, state)
    for program, start, stop in ((first, 0, 2), (second, 2, 5)):
        state.set_control("first_image", start)
        write(program, {name: values[start:stop] for name, values in given.items()})
        program.run()
    for name, gradient in state.gradients.export().items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-11, atol=1e-13, err_msg=name)


def masks(trained: Trained, device: Device, images: Host, first: int, step: int) -> list[Host]:
    """What the two dropouts let through of equal images."""
    state = state_of(trained, device)
    state.set_control("step", step)
    state.set_control("first_image", first)
    nodes = [node for node in trained.network.nodes if node.layer.kind == "dropout"]
    program = bind(plan(trained, device, specify(trained, len(images), keep=tuple(nodes))), state)
    program.write("image", images)
    program.write("labels", np.zeros(len(images), np.int32))
    program.run()
    return [program.read_output(node) != 0 for node in nodes]


def test_dropout_masks_do_not_depend_on_how_a_batch_is_split() -> None:
    from gpunn.backend.cpu.device import open_cpu

    trained = labelled(Linear(None, 2)(Flatten()(Dropout(0.5)(Dropout(0.3)(image_input((3, 5, 2)))))))
    images = np.ones((7, 3, 5, 2))
    whole_device, part_device = open_cpu(2), open_cpu(1)
    whole = masks(trained, whole_device, images, 0, 3)
    parts = [masks(trained, part_device, images[start:stop], start, 3) for start, stop in ((0, 1), (1, 4), (4, 7))]
    for layer, mask in enumerate(whole):
        assert np.array_equal(mask, np.concatenate([part[layer] for part in parts]))
    other_step = masks(trained, whole_device, images, 0, 4)
    assert not np.array_equal(whole[0], other_step[0])
    assert 0.5 < whole[0].mean() < 0.9
    for device in (whole_device, part_device):
        device.close()


def test_two_dropouts_of_one_network_have_masks_of_their_own(cpu: Device) -> None:
    """With equal masks the second would drop nothing that the first has left."""
    trained = labelled(Linear(None, 2)(Flatten()(Dropout(0.5)(Dropout(0.5)(image_input((8, 8, 2)))))))
    first, second = masks(trained, cpu, np.ones((3, 8, 8, 2)), 0, 0)
    assert second.sum() < 0.7 * first.sum()


def test_frozen_layers_cost_nothing_and_change_nothing_else(cpu: Device) -> None:
    unfrozen = plain()
    free = run(unfrozen, cpu, plan(unfrozen, cpu, specify(unfrozen, 3)))
    trained = plain()
    for name in ("conv1", "linear1"):
        trained.node(name).layer.trainable = False
    found = plan(trained, cpu, specify(trained, 3))
    assert not [call for call in found.calls if call.phase == "backward" and call.node in ("conv1", "relu1")]
    assert "linear_backward_weight" not in [call.primitive for call in found.calls if call.node == "linear1"]
    frozen = run(trained, cpu, found)
    assert frozen.outputs["loss1"].tobytes() == free.outputs["loss1"].tobytes()
    for name, gradient in frozen.gradients.items():
        if name.startswith(("conv1", "linear1")):
            assert not gradient.any()
        else:
            assert gradient.tobytes() == free.gradients[name].tobytes()


def test_an_update_moves_all_but_the_frozen(cpu: Device) -> None:
    trained = norms()
    frozen = {"conv1", "bn1", "prelu1"}
    for name in frozen:
        trained.node(name).layer.trainable = False
    optimizer = Sgd(weight_decay=0.1)
    state = state_of(trained, cpu, optimizer)
    program = bind(plan(trained, cpu, specify(trained, 3)), state)
    update = Update(state, UpdateSpecification(optimizer, clip_norm=1.0))
    before = state.parameters.export()
    state.set_control("learning_rate", 0.1)
    write(program, inputs_of(trained, 3))
    program.run()
    update.run()
    for name, values in state.parameters.export().items():
        if name.split(".")[0] in frozen:
            assert values.tobytes() == before[name].tobytes(), name
        else:
            assert not np.array_equal(values, before[name]), name
    assert state.read_control("step") == 1


def unreached() -> Trained:
    """Two outputs, of which one alone has a loss."""
    image = image_input((3,))
    stem = Tanh()(Linear(3, 4, name="stem")(image))
    scores, idle = Linear(4, 2, name="scores")(stem), Linear(4, 5, name="idle")(stem)
    return Trained(Network((scores, idle)), (Objective(scores, SoftmaxCrossEntropy()),))


def test_the_gradient_of_what_no_loss_reaches_is_its_penalty_alone_at_every_step(cpu: Device) -> None:
    trained = unreached()
    state = state_of(trained, cpu)
    assert state.gradients is not None
    weights = state.parameters.export()
    programs = [
        bind(plan(trained, cpu, specify(trained, 3, accumulate_gradients=more)), state) for more in (False, True)
    ]
    update = Update(state, UpdateSpecification(Sgd(momentum=0.0), (Penalty(1, 0.01),), clip_norm=1e9))
    norms = []
    for _ in range(3):
        for program in programs:
            write(program, inputs_of(trained, 3))
            program.run()
        update.run()
        found = state.gradients.export()
        np.testing.assert_array_equal(found["idle.weight"], 0.01 * np.sign(weights["idle.weight"]))
        assert not found["idle.bias"].any()
        norms.append(state.read_control("gradient_norm"))
        assert norms[-1] == pytest.approx(np.sqrt(sum((gradient**2).sum() for gradient in found.values())), rel=1e-12)
    assert norms[0] == norms[1] == norms[2]


def test_kept_nodes_hold_what_a_shorter_network_computes(cpu: Device) -> None:
    trained = plain()
    state = state_of(trained, cpu)
    middle = trained.node("pool1")
    kept = bind(plan(trained, cpu, specify(trained, 3, "evaluate", keep=(middle,))), state)
    short = Trained(Network(middle), ())
    alone = bind(plan(short, cpu, specify(short, 3, "evaluate")), state)
    given = inputs_of(trained, 3)
    write(kept, given)
    kept.run()
    alone.write("image", given["image"])
    alone.run()
    assert kept.read_output(middle).tobytes() == alone.read_output(middle).tobytes()


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_an_output_that_only_passes_its_input_through_is_kept(cpu: Device, mode: Mode) -> None:
    """After the identity and the dropout come two more layers, which would like to write over what they read."""
    image = image_input((6,))
    computed = Linear(6, 6)(image)
    output = Dropout(0.0)(Identity()(computed))
    later = ReLU()(Dropout(0.4)(Linear(6, 6)(Tanh()(output))))
    trained = Trained(Network((output, later)), (Objective(later, SoftmaxCrossEntropy()),))
    state = state_of(trained, cpu)
    program = bind(plan(trained, cpu, specify(trained, 3, mode)), state)
    given = inputs_of(trained, 3)
    write(program, given)
    program.run()
    weights = state.parameters.export()
    expected = given["image"] @ weights["linear1.weight"] + weights["linear1.bias"]
    np.testing.assert_allclose(program.read_output(output), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "build", [norms, vector_batch_norm, shared, one_pixel_batch_norm, dropouts], ids=lambda build: build.__name__
)
def test_evaluation_gives_gradients_of_nodes_that_are_asked_for(cpu: Device, build: Callable[[], Trained]) -> None:
    """What a saliency map needs: running statistics, no dropout, no gradient of any parameter."""
    trained = build()
    image = trained.network.image
    state = state_of(trained, cpu)
    found = plan(trained, cpu, specify(trained, 2, "evaluate", gradients_of=(image,)))
    assert not [b for call in found.calls for b in call.buffers if b.kind == "gradient"]
    program = bind(found, state)
    given = inputs_of(trained, 2)
    write(program, given)
    program.run()
    gradient = program.read(f"grad {image.name}")
    for index in np.random.default_rng(0).permutation(gradient.size)[:8]:
        losses = []
        for width in (1e-5, -1e-5):
            moved = given[image.name].copy()
            moved.flat[index] += width
            program.write(image.name, moved)
            program.run()
            losses.append(loss_of(program))
        assert gradient.flat[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_gradients_that_are_asked_for_are_scaled_by_the_multiplier_alone(cpu: Device) -> None:
    """Where the loss is scaled, nobody but a training run tells the share of an image."""
    trained = norms()
    image = trained.network.image
    gradients = []
    for scales_loss in (False, True):
        chosen = replace(FLOAT64, scales_loss=scales_loss)
        state = NetworkState(trained.network, cpu, chosen, objectives=len(trained.objectives))
        state.initialize(1)
        specification = specify(trained, 2, "evaluate", gradients_of=(image,), precision=chosen)
        program = bind(plan(trained, cpu, specification), state)
        write(program, inputs_of(trained, 2))
        program.run()
        gradients.append(program.read(f"grad {image.name}") / state.read_control("loss_multiplier"))
    assert gradients[0].any()
    np.testing.assert_array_equal(gradients[1], gradients[0])


def test_evaluation_reads_what_training_has_committed(cpu: Device) -> None:
    """A step that is void leaves the running statistics as they were; one that is not moves them."""
    image = image_input((2, 2, 1))
    trained = labelled(Linear(None, 2)(Flatten()(BatchNorm()(image))))
    state = state_of(trained, cpu)
    before = state.statistics.export()
    program = bind(plan(trained, cpu, specify(trained, 3)), state)
    update = Update(state, UpdateSpecification(Sgd(momentum=0.0)))
    state.set_control("learning_rate", 0.1)
    given = inputs_of(trained, 3)
    weights = state.parameters.export()

    write(program, {**given, "image": np.full((3, 2, 2, 1), np.inf)})
    program.run()
    update.run()
    assert state.read_control("apply") == 0
    assert state.read_control("latched_step") == 0
    assert state.read_control("step") == 0
    for name, values in {**state.parameters.export(), **state.statistics.export()}.items():
        assert values.tobytes() == {**weights, **before}[name].tobytes()

    state.set_control("apply", 1)
    write(program, given)
    program.run()
    update.run()
    mean = before["bn1.running_mean"] * 0.9 + 0.1 * given["image"].mean()
    variance = before["bn1.running_variance"] * 0.9 + 0.1 * given["image"].var(ddof=1)
    np.testing.assert_allclose(state.statistics.export()["bn1.running_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(state.statistics.export()["bn1.running_variance"], variance, rtol=1e-12)


def test_totals_count_losses_and_hits_per_objective(cpu: Device) -> None:
    image = image_input((6,))
    scores = Linear(6, 6, name="scores")(image)
    objectives = (Objective(scores, SoftmaxCrossEntropy(), 2.0), Objective(scores, SoftmaxCrossEntropy()))
    trained = Trained(Network(scores), objectives)
    state = state_of(trained, cpu)
    state.parameters.load({"scores.weight": np.eye(6), "scores.bias": np.zeros(6)})
    program = bind(plan(trained, cpu, specify(trained, 3, "evaluate")), state)
    program.write("image", np.array([[9, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0.0]]))
    program.write("labels", np.array([0, 4, 5], np.int32))
    for _ in range(2):
        program.run()
    losses = program.read("loss1")
    np.testing.assert_allclose(state.read_totals(0), [2 * losses.sum(), 2, 4, 6], rtol=1e-12)
    np.testing.assert_allclose(state.read_totals(1), [2 * losses.sum(), 2, 4, 6], rtol=1e-12)


@pytest.mark.parametrize("name", ["cpu", "emulator:check"])
def test_totals_that_were_kept_come_back_bit_for_bit(name: str) -> None:
    """Also numbers whose halves would be no numbers, or almost none."""
    image = image_input((6,))
    scores = Linear(6, 6, name="scores")(image)
    bits = np.array([0x7FF0_0001_7F80_0001, 0x0000_0001_8000_0001, 0xC05E_DD2F_FFFF_FFFF, 0x3FB9_9999_9999_999A])
    first, second = np.array(bits, np.uint64).view(np.float64), np.arange(4.0)
    device = open_device(name)
    try:
        state = NetworkState(Network(scores), device, precision("float32"), objectives=2)
        state.write_totals(first, 0)
        state.write_totals(second, 1)
        state.keep_totals()
        for position in range(2):
            state.write_totals(np.full(4, 7.5), position)
        state.restore_totals()
        assert state.read_totals(0).tobytes() == first.tobytes()
        assert state.read_totals(1).tobytes() == second.tobytes()
    finally:
        device.close()


def test_pictures_are_cropped_mirrored_and_normalised_in_the_program(cpu: Device) -> None:
    trained = labelled(Linear(None, 2)(Flatten()(Tanh()(Conv2d(2, 2)(image_input((3, 4, 3)))))))
    state = state_of(trained, cpu)
    state.set_constant("image_mean", np.array([0.5, 0.25, 0.125]))
    state.set_constant("image_deviation", np.array([0.5, 2.0, 4.0]))
    node = trained.network.image
    program = bind(plan(trained, cpu, specify(trained, 2, "evaluate", pictures=(5, 6), keep=(node,))), state)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(np.uint8)
    program.write("images", pictures)
    program.write("placement", np.array([[1, 2, 0], [0, 1, 1]], np.int32))
    program.write("labels", np.zeros(2, np.int32))
    program.run()
    expected = np.stack([pictures[0, 1:4, 2:6], pictures[1, 0:3, 1:5][:, ::-1]]) / 255.0
    expected = (expected - [0.5, 0.25, 0.125]) / [0.5, 2.0, 4.0]
    np.testing.assert_allclose(program.read_output(node), expected, rtol=1e-12)


def test_a_program_that_trains_needs_an_optimizer(cpu: Device) -> None:
    from gpunn.program.state import NetworkState
    from tests.programs import FLOAT64

    trained = plain()
    state = NetworkState(trained.network, cpu, FLOAT64)
    with pytest.raises(UsageError, match=r"made without an optimizer; give one to NetworkState, or plan .* 'evaluate'"):
        bind(plan(trained, cpu, specify(trained, 3)), state)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batch": 0}, "a program for batches of 0 images; it needs a whole number of 1 or more"),
        ({"mode": "test"}, "a program in mode 'test'; choose 'train' or 'evaluate'"),
    ],
)
def test_impossible_specifications_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        specify(plain(), **{"batch": 3, **changes})


def test_a_buffer_that_is_not_there_is_refused_with_those_that_are(cpu: Device) -> None:
    trained = plain()
    program = bind(plan(trained, cpu, specify(trained, 3, "evaluate")), state_of(trained, cpu))
    with pytest.raises(UsageError, match=r"no buffer named 'picture'; from outside it has .*'image'"):
        program.write("picture", np.zeros((3, 7, 6, 3)))


def test_a_gradient_that_no_loss_reaches_is_refused(cpu: Device) -> None:
    trained = unreached()
    with pytest.raises(UsageError, match="no loss reaches node 'idle', so that it has no gradient; leave it out"):
        plan(trained, cpu, specify(trained, 3, gradients_of=(trained.node("stem"), trained.node("idle"))))


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_the_gradient_of_a_node_that_passes_through_is_that_of_what_it_read(cpu: Device, mode: Mode) -> None:
    computed = Linear(3, 4, name="computed")(image_input((3,)))
    passed = Dropout(0.0, name="dropped")(Identity(name="passed")(computed))
    trained = labelled(Linear(4, 2)(Tanh()(passed)))
    state = state_of(trained, cpu)
    program = bind(plan(trained, cpu, specify(trained, 3, mode, gradients_of=(passed,), keep=(passed,))), state)
    write(program, inputs_of(trained, 3))
    program.run()
    for name in ("dropped", "passed", "computed"):
        assert program.read(f"grad {name}").tobytes() == program.read("grad computed").tobytes()
        assert program.read(name).tobytes() == program.read("computed").tobytes()
    assert np.abs(program.read("grad dropped")).min() > 0


@pytest.mark.parametrize("name", ["scores", "loss1", "t"])
def test_arrays_of_one_name_are_refused(cpu: Device, name: str) -> None:
    """The target "t" once as labels and once as values; a layer that is called like a loss or a target."""
    scores = Linear(3, 4, name=name)(image_input((3,)))
    objectives = (Objective(scores, SoftmaxCrossEntropy(), target="t"), Objective(scores, SquaredError(), target="t"))
    trained = Trained(Network(scores), objectives)
    with pytest.raises(UsageError, match=r"two arrays of this program are called '(t|loss1)', of shapes"):
        plan(trained, cpu, specify(trained, 3))
