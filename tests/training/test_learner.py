"""A learner: gradients over several passes, totals, evaluation and prediction against NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import CpuDevice
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import DataError, DivergedError, UsageError
from gpunn.layers import Flatten, Linear, Softmax
from gpunn.network import Network, Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training.learner import Learner
from gpunn.training.rule import Rule
from gpunn.training.totals import Totals
from tests.training.runs import SIZE, network, network_without_statistics, striped

PREPROCESSING = Preprocessing(SIZE, SIZE, 1, "stretch", SIZE, (0.4,), (0.2,))
CLASSES = 7


@pytest.fixture
def device() -> Iterator[Device]:
    opened = CpuDevice(threads=2)
    yield opened
    opened.close()


def batch_of(first: int, last: int) -> Batch:
    images, labels = striped(64, 3)
    part = slice(first, last)
    return Batch(
        images[part], labels[part].astype(np.int32), np.zeros((last - first, 3), np.int32), np.arange(first, last)
    )


def learner_of(device: Device, build: Callable[[], Network], number_type: str = "float64", **rule: Any) -> Learner:
    return Learner(build(), device, precision(number_type), PREPROCESSING, Rule(Sgd(momentum=0.9), seed=4, **rule))


def linear() -> Network:
    return Sequential(Flatten(name="flatten"), Linear(None, CLASSES, name="fc")).network((SIZE, SIZE, 1), "linear")


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: np.ndarray[Any, Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def scores_of(learner: Learner, batch: Batch) -> np.ndarray[Any, Any]:
    """Of the linear network, in float64."""
    weights = learner.state.parameters.export()
    pixels = (batch.images.reshape(len(batch), -1) / 255 - 0.4) / 0.2
    scores: np.ndarray[Any, Any] = pixels @ weights["fc.weight"] + weights["fc.bias"]
    return scores


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("sizes", [(4, 4, 4), (5, 5, 2), (8, 1), (3, 3, 3, 3, 3)])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_several_passes_are_one_large_one(
    device: Device, sizes: tuple[int, ...], reduction: str, clip_norm: float | None
) -> None:
    """To rounding in float64; a dropout mask that differed in one place would show by far."""
    images = sum(sizes)
    learners = [
        learner_of(
            device,
            network_without_statistics,
            reduction=reduction,
            smoothing=0.1,
            clip_norm=clip_norm,
            penalties=(Penalty(1, 1e-3),),
        )
        for _ in range(2)
    ]
    for step in range(2):
        first = 0
        for size in sizes:
            learners[0].learn(batch_of(step + first, step + first + size), first=first, images=images)
            first += size
        learners[1].learn(batch_of(step, step + images), first=0, images=images)
        for learner in learners:
            learner.update(0.1)
    parts, whole = (learner.state.export() for learner in learners)
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-9, atol=1e-12 * max(1.0, np.abs(values).max()))
    np.testing.assert_allclose(learners[0].state.read_totals(), learners[1].state.read_totals(), rtol=1e-12)


def test_dropout_masks_belong_to_the_place_in_the_update(device: Device) -> None:
    """The second pass of an update draws other masks than the first, the next step others than this one."""
    losses = []
    learner = learner_of(device, network_without_statistics)
    for first in (0, 4):
        before = learner.state.read_totals()[0]
        learner.learn(batch_of(0, 4), first=first, images=8)
        losses.append(learner.state.read_totals()[0] - before)
    learner.update(1e-300)
    before = learner.state.read_totals()[0]
    learner.learn(batch_of(0, 4), first=0, images=8)
    losses.append(learner.state.read_totals()[0] - before)
    assert len({round(loss, 9) for loss in losses}) == 3


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1 / 6), ("sum", 1.0)])
def test_an_update_is_the_gradient_of_the_loss(device: Device, reduction: str, factor: float) -> None:
    """Softmax regression by hand."""
    learner = learner_of(device, linear, reduction=reduction)
    before = learner.state.parameters.export()
    batch = batch_of(0, 6)
    error = softmax(scores_of(learner, batch)) - np.eye(CLASSES)[batch.labels]
    learner.learn(batch, first=0, images=6)
    learner.update(0.25)
    after = learner.state.parameters.export()
    np.testing.assert_allclose(after["fc.bias"], before["fc.bias"] - 0.25 * factor * error.sum(axis=0), atol=1e-12)
    pixels = (batch.images.reshape(6, -1) / 255 - 0.4) / 0.2
    np.testing.assert_allclose(after["fc.weight"], before["fc.weight"] - 0.25 * factor * pixels.T @ error, atol=1e-12)


def test_a_batch_without_images_moves_nothing(device: Device) -> None:
    """Whatever gradients were there; clipping divides by their norm."""
    learner = learner_of(device, linear, clip_norm=1e-3)
    learner.learn(batch_of(0, 6), first=0, images=6)
    before = learner.state.parameters.export()
    learner.learn(batch_of(0, 0), first=0, images=6)
    learner.update(0.5)
    for name, values in learner.state.parameters.export().items():
        np.testing.assert_array_equal(values, before[name])
    assert learner.totals().images == 6


def test_totals_are_sums_over_images(device: Device) -> None:
    learner = learner_of(device, linear)
    batches = [batch_of(0, 5), batch_of(5, 12)]
    losses, ranks = [], []
    for batch in batches:
        scores = scores_of(learner, batch)
        losses += (-np.log(softmax(scores)[np.arange(len(batch)), batch.labels])).tolist()
        ranks += (scores > scores[np.arange(len(batch)), batch.labels][:, None]).sum(axis=1).tolist()
    found = learner.evaluate(batches)
    assert found.loss == pytest.approx(sum(losses), rel=1e-12)
    assert (found.top1, found.top5, found.images) == (sum(r < 1 for r in ranks), sum(r < 5 for r in ranks), 12)
    assert 0 < found.top1 < found.top5 < 12
    assert found.mean_loss == pytest.approx(sum(losses) / 12)
    assert (found.top1_rate, found.top5_rate) == (found.top1 / 12, found.top5 / 12)


def test_evaluation_has_no_smoothing_and_no_dropout(device: Device) -> None:
    smooth = learner_of(device, network_without_statistics, smoothing=0.2).evaluate([batch_of(0, 9)])
    plain = learner_of(device, network_without_statistics).evaluate([batch_of(0, 9)])
    assert smooth == plain


def test_evaluation_leaves_the_state_of_training_alone(device: Device) -> None:
    learner = learner_of(device, network)
    learner.learn(batch_of(0, 8), first=0, images=8)
    learner.update(0.1)
    before = learner.state.export()
    totals = learner.state.read_totals()
    learner.evaluate([batch_of(0, 8), batch_of(8, 11)])
    learner.predict(batch_of(0, 1))
    np.testing.assert_array_equal(learner.state.read_totals(), totals)
    for name, values in learner.state.export().items():
        np.testing.assert_array_equal(values, before[name])


def test_evaluation_that_fails_leaves_the_totals_alone(device: Device) -> None:
    def torn() -> Iterator[Batch]:
        yield batch_of(0, 8)
        raise OSError

    learner = learner_of(device, network)
    learner.learn(batch_of(0, 8), first=0, images=8)
    totals = learner.state.read_totals()
    with pytest.raises(OSError, match=r"^$"):
        learner.evaluate(torn())
    np.testing.assert_array_equal(learner.state.read_totals(), totals)


def test_no_image_gives_no_rate() -> None:
    nothing = Totals(0.0, 0.0, 0.0, 0.0)
    assert all(np.isnan(rate) for rate in (nothing.mean_loss, nothing.top1_rate, nothing.top5_rate))


def test_predictions_are_softmax_of_the_scores(device: Device) -> None:
    learner = learner_of(device, linear)
    batch = batch_of(3, 7)
    np.testing.assert_allclose(learner.predict(batch), softmax(scores_of(learner, batch)), rtol=1e-12)


def test_a_learner_without_a_rule_only_evaluates(device: Device) -> None:
    learner = Learner(linear(), device, precision("float32"), PREPROCESSING)
    with pytest.raises(UsageError, match="without a rule"):
        learner.update(0.1)


def test_inspection_shows_every_node_in_order(device: Device) -> None:
    """Also those that pass their input through."""
    learner = learner_of(device, network)
    shown = dict(learner.inspect(batch_of(0, 4)))
    assert list(shown)[1:] == ["conv1", "bn1", "relu1", "pool1", "drop1", "flatten", "fc2"]
    np.testing.assert_array_equal(shown["relu1"], np.maximum(shown["bn1"], 0))
    np.testing.assert_array_equal(shown["drop1"], shown["pool1"])
    np.testing.assert_array_equal(shown["flatten"].reshape(4, -1), shown["pool1"].reshape(4, -1))
    assert (shown["bn1"] < 0).any()


def test_inspection_of_training_is_what_training_computes(device: Device) -> None:
    """Batch statistics, dropout, the masks of the place in the update; and nothing is overwritten."""
    learner = learner_of(device, network)
    learner.learn(batch_of(0, 8), first=0, images=16)
    state = learner.state
    assert state.gradients is not None
    assert state.pending is not None
    before = {**state.export(), **state.gradients.export(), **state.pending.export(), "sums": np.array(learner.sums())}
    batch = batch_of(8, 16)
    shown, other = (dict(learner.inspect(batch, "train", first=first)) for first in (8, 0))
    np.testing.assert_allclose(shown["bn1"].mean(axis=(0, 1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(shown["bn1"].var(axis=(0, 1, 2)), 1, atol=1e-2)
    kept = shown["drop1"] != 0
    np.testing.assert_allclose(shown["drop1"][kept], shown["pool1"][kept] / 0.7, rtol=1e-12)
    assert 0.6 < kept[shown["pool1"] != 0].mean() < 0.8
    assert (kept != (other["drop1"] != 0)).any()
    after = {**state.export(), **state.gradients.export(), **state.pending.export(), "sums": np.array(learner.sums())}
    for name, values in after.items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)
    scores = shown["fc2"]
    expected = -np.log(softmax(scores)[np.arange(8), batch.labels])
    np.testing.assert_allclose(learner.losses(batch, "train", first=8), [expected], rtol=1e-9)
    learner.learn(batch, first=8, images=16)
    assert learner.totals().loss - before["sums"][0, 0] == pytest.approx(expected.sum(), rel=1e-9)


def broken(device: Device, build: Callable[[], Network], name: str) -> Learner:
    learner = learner_of(device, build, "float32")
    values = learner.state.parameters.export()
    values[name].flat[0] = np.inf
    learner.state.parameters.load(values)
    return learner


def test_evaluation_with_infinite_weights_is_an_error_not_a_mean_over_the_rest(device: Device) -> None:
    learner = broken(device, linear, "fc.weight")
    with pytest.raises(DivergedError, match="not a finite number"):
        learner.evaluate([batch_of(0, 4), batch_of(4, 8)])
    assert learner.state.read_control("latched_step") == -1


def test_nothing_of_a_rejected_step_is_kept(device: Device) -> None:
    """Weights, optimiser state, running statistics, the count of steps; the totals of its own pass."""
    learner = learner_of(device, network, "float32")
    learner.learn(batch_of(0, 8), first=0, images=8)
    learner.update(0.1)
    values = learner.state.parameters.export()
    values["fc2.weight"][0, 0] = np.inf
    learner.state.parameters.load(values)
    before, totals = learner.state.export(), learner.state.read_totals()
    learner.learn(batch_of(8, 16), first=0, images=8)
    learner.update(0.1)
    for name, kept in learner.state.export().items():
        np.testing.assert_array_equal(kept, before[name], err_msg=name)
    np.testing.assert_array_equal(learner.state.read_totals(), totals)
    assert learner.state.read_control("step") == 1
    assert learner.state.read_control("latched_step") == 1


def test_evaluation_within_an_update_leaves_a_void_step_void(device: Device) -> None:
    """The first pass of two is broken; measuring some images between them must not arm the update again."""
    learner = learner_of(device, linear, "float32")
    sound = learner.state.export()
    learner.state.parameters.load({"fc.weight": np.full_like(sound["fc.weight"], np.inf), "fc.bias": sound["fc.bias"]})
    learner.learn(batch_of(0, 4), first=0, images=8)
    learner.state.load(sound)
    learner.evaluate([batch_of(8, 12)])
    learner.learn(batch_of(4, 8), first=4, images=8)
    learner.update(0.1)
    for name, values in learner.state.export().items():
        np.testing.assert_array_equal(values, sound[name], err_msg=name)
    assert learner.state.read_control("latched_step") == 0


def with_softmax() -> Network:
    layers = (Flatten(name="flatten"), Linear(None, CLASSES, name="fc"), Softmax(name="probabilities"))
    return Sequential(*layers).network((SIZE, SIZE, 1), "linear")


def test_a_network_that_ends_in_softmax_learns_and_predicts_like_one_that_does_not(device: Device) -> None:
    """Softmax of softmax would be nearly uniform, and its gradient small."""
    plain, ending = (learner_of(device, build, smoothing=0.1) for build in (linear, with_softmax))
    for learner in (plain, ending):
        learner.learn(batch_of(0, 6), first=0, images=6)
        learner.update(0.25)
    for name, values in plain.state.parameters.export().items():
        np.testing.assert_allclose(ending.state.parameters.export()[name], values, rtol=1e-12, err_msg=name)
    batch = batch_of(6, 12)
    np.testing.assert_allclose(ending.predict(batch), softmax(scores_of(ending, batch)), rtol=1e-9, atol=1e-12)
    assert ending.evaluate([batch]).mean_loss == pytest.approx(plain.evaluate([batch]).mean_loss, rel=1e-12)


def test_outputs_are_as_the_network_computes_them(device: Device) -> None:
    learner = learner_of(device, linear)
    batch = batch_of(3, 7)
    (scores,) = learner.outputs(batch)
    np.testing.assert_allclose(scores, scores_of(learner, batch), rtol=1e-12)
    with pytest.raises(DivergedError, match="cannot predict"):
        broken(device, linear, "fc.weight").outputs(batch)


@pytest.mark.parametrize("powers", [(1.0,), (2.0,), (1.5, 1.0)])
def test_penalties_of_any_power_are_part_of_what_is_minimised(device: Device, powers: tuple[float, ...]) -> None:
    """The step of one weight is the difference quotient of loss and penalty; biases are spared."""
    penalties = tuple(Penalty(p, 0.03 * (k + 1)) for k, p in enumerate(powers))
    learner = learner_of(device, linear, penalties=penalties)
    before = learner.state.parameters.export()
    before["fc.bias"][:] = 7
    weight = before["fc.weight"]
    learner.state.parameters.load(before)
    sums = (penalty.strength / penalty.p * (np.abs(weight) ** penalty.p).sum() for penalty in penalties)
    assert learner.penalty() == pytest.approx(sum(sums), rel=1e-12)
    place = np.unravel_index(np.abs(weight).argmax(), weight.shape)
    minimised = []
    for change in (1e-6, -1e-6):
        moved = weight.copy()
        moved[place] += change
        learner.state.parameters.load({**before, "fc.weight": moved})
        minimised.append(learner.evaluate([batch_of(0, 6)]).mean_loss + learner.penalty())
    learner.state.parameters.load(before)
    learner.learn(batch_of(0, 6), first=0, images=6)
    learner.update(0.5)
    step = (weight - learner.state.parameters.export()["fc.weight"])[place] / 0.5
    assert step == pytest.approx((minimised[0] - minimised[1]) / 2e-6, rel=1e-5)


def test_without_penalties_there_is_none(device: Device) -> None:
    assert learner_of(device, linear).penalty() == 0


@pytest.mark.parametrize(
    ("shape", "words"), [((8, 8, 1), ["8x8x1", "12x12x1"]), ((SIZE, SIZE, 3), ["12x12x3", "12x12x1", "adapt"])]
)
def test_a_network_for_other_images_is_refused(device: Device, shape: tuple[int, int, int], words: list[str]) -> None:
    other = Sequential(Flatten(), Linear(None, 3)).network(shape, "other")
    with pytest.raises(UsageError) as refusal:
        learner_of(device, lambda: other)
    assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize(("label", "kind"), [(CLASSES, np.int32), (-1, np.int32), (2**40, np.int64)])
def test_a_label_that_is_no_output_is_refused_before_anything_is_computed(
    device: Device, label: int, kind: type
) -> None:
    learner = learner_of(device, linear)
    batch = batch_of(20, 26)
    labels = batch.labels.astype(kind)
    labels[4] = label
    with pytest.raises(DataError, match=rf"sample 24 .* label {label} .*0 to 6"):
        learner.learn(replace(batch, labels=labels), first=0, images=6)
    assert learner.totals().images == 0


def test_a_batch_of_other_shapes_is_refused(device: Device) -> None:
    learner = learner_of(device, linear)
    batch = batch_of(0, 4)
    with pytest.raises(UsageError, match=r"images .* 4x6x12x1; .* 4x12x12x1"):
        learner.learn(replace(batch, images=batch.images[:, ::2]), first=0, images=4)
    with pytest.raises(UsageError, match="whole numbers"):
        learner.learn(replace(batch, labels=batch.labels + 0.5), first=0, images=4)
