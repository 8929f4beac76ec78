"""What can be minimised through a trainer: labels, values, several outputs, and what is recorded of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cpu.device import CpuDevice
from gpunn.data.dataset import Split
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.errors import CheckpointError, DataError, UsageError
from gpunn.layers import Flatten, Linear, image_input
from gpunn.losses import BinaryCrossEntropy, Loss, Objective, SoftmaxCrossEntropy, SoftTargetCrossEntropy, SquaredError
from gpunn.network import Network
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.rule import Rule
from gpunn.training.run_folder import RunFolder
from gpunn.training.trainer import Trainer, TrainingInterrupted
from tests.training.runs import CLASSES, SIZE, preprocessing_of, records_of, state_of, striped

pytestmark = pytest.mark.usefixtures("no_curves")

PLAN = Plan(4, 8, ConstantSchedule(0.01))
#: So small that the weights stay.
STILL = Plan(1, 8, ConstantSchedule(1e-30))
Targets = dict[str, np.ndarray[Any, Any]]


def split_of(targets: Callable[[np.ndarray[Any, Any]], Targets], classes: tuple[str, ...] = CLASSES) -> Split:
    """Striped pictures with targets that follow from their labels; without classes they have nothing else."""
    halves = []
    for seed, count in ((1, 50), (2, 21)):
        images, labels = striped(count, seed)
        halves.append(ArrayDataset(images, labels if classes else None, classes, targets=targets(labels)))
    return Split(halves[0], halves[1], "stripes")


def two_outputs() -> tuple[Network, Objective, Objective]:
    """Scores of the three classes, and two numbers."""
    features = Flatten(name="flatten")(image_input((SIZE, SIZE, 1)))
    scores, numbers = Linear(None, 3, name="scores")(features), Linear(None, 2, name="numbers")(features)
    network = Network([scores, numbers], "two")
    return network, Objective(scores, SoftmaxCrossEntropy()), Objective(numbers, SquaredError(0.5), target="place")


def places(labels: np.ndarray[Any, Any]) -> Targets:
    return {"place": np.stack([labels / 2, 1 - labels], axis=1)}


@contextmanager
def training(
    network: Network, objectives: tuple[Objective, ...], split: Split, plan: Plan = PLAN, path: Path | None = None
) -> Iterator[Trainer]:
    device = CpuDevice(1)
    try:
        preprocessing = preprocessing_of(split)
        rule = Rule(Sgd(momentum=0.9), seed=3, objectives=objectives)
        learner = Learner(network, device, precision("float64"), preprocessing, rule)
        yield Trainer(learner, plan, split, preprocessing, run=RunFolder(path) if path is not None else None)
    finally:
        device.close()


def one_output(loss: Loss, outputs: int, target: str) -> tuple[Network, tuple[Objective, ...]]:
    node = Linear(None, outputs, name="fc")(Flatten()(image_input((SIZE, SIZE, 1))))
    return Network(node, "one"), (Objective(node, loss, target=target),)


def one_hot(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.eye(3)[labels]


@pytest.mark.parametrize(
    ("loss", "outputs", "targets"),
    [
        (SquaredError(0.5), 2, lambda labels: np.stack([labels / 2, 1 - labels], axis=1)),
        (BinaryCrossEntropy(), 3, lambda labels: (one_hot(labels) + one_hot((labels + 1) % 3)).astype(np.uint8)),
        (SoftTargetCrossEntropy(), 3, lambda labels: 0.8 * one_hot(labels) + 0.2 / 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Loss) else "",
)
def test_values_are_learnt(tmp_path: Path, loss: Loss, outputs: int, targets: Callable[..., Any]) -> None:
    """From pictures that have no labels at all."""
    network, objectives = one_output(loss, outputs, "wanted")
    split = split_of(lambda labels: {"wanted": targets(labels)}, classes=())
    with training(network, objectives, split, path=tmp_path / "run") as trainer:
        records = list(trainer.fit())
        least = min(records, key=lambda record: record.validation_loss or 0.0)
        found = trainer.best
    assert records[-1].train_loss < 0.8 * records[0].train_loss
    if isinstance(loss, SoftTargetCrossEntropy):
        assert records[-1].validation_top1 is not None
        assert records[-1].validation_top1 > 0.5
    else:
        assert np.isnan(records[-1].train_top1)
        assert (records[-1].validation_top1, records[-1].validation_top5) == (None, None)
        assert found == (least.epoch, least.validation_loss)


def test_the_least_validation_loss_is_the_best_where_nothing_ranks(tmp_path: Path) -> None:
    """With a rate that makes every epoch worse than the first."""
    network, objectives = one_output(SquaredError(), 2, "place")
    plan = Plan(9, 8, ConstantSchedule(0.02), patience=2)
    with training(network, objectives, split_of(places), plan, tmp_path / "run") as trainer:
        records = list(trainer.fit())
        assert trainer.best == (1, records[0].validation_loss)
    assert len(records) == 3
    assert records[2].validation_loss > records[0].validation_loss


@pytest.mark.parametrize("weights", [(1.0, 0.25), (0.25, 3.0), (0.0, 1.0)])
@pytest.mark.parametrize("ranked_first", [True, False])
def test_the_loss_of_a_record_is_the_weighted_sum(weights: tuple[float, float], ranked_first: bool) -> None:
    """Against NumPy; hits are those of the labels wherever their objective stands."""
    network, labelled, valued = two_outputs()
    objectives = (replace(labelled, weight=weights[0]), replace(valued, weight=weights[1]))
    split = split_of(places)
    with training(network, objectives if ranked_first else objectives[::-1], split, STILL) as trainer:
        parameters = trainer.learner.state.parameters.export()
        (record,) = trainer.fit()
        own = trainer.learner.evaluate(trainer._validation.batches(0)).mean_losses
        mean, deviation = trainer.preprocessing.mean[0], trainer.preprocessing.std[0]
    for dataset, loss, top1 in (
        (split.train, record.train_loss, record.train_top1),
        (split.validation, record.validation_loss, record.validation_top1),
    ):
        pixels = np.stack([dataset.load(index).reshape(-1) for index in range(len(dataset))])
        features = (pixels / 255 - mean) / deviation
        scores = features @ parameters["scores.weight"] + parameters["scores.bias"]
        numbers = features @ parameters["numbers.weight"] + parameters["numbers.bias"]
        of_labels = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(dataset)), dataset.labels]
        of_values = 0.5 * ((numbers - dataset.targets["place"]) ** 2).sum(axis=1)
        assert loss == pytest.approx(weights[0] * of_labels.mean() + weights[1] * of_values.mean(), rel=1e-9)
        assert top1 == pytest.approx((scores.argmax(axis=1) == dataset.labels).mean())
    expected = (of_labels.mean(), of_values.mean())
    assert own == pytest.approx(expected if ranked_first else expected[::-1], rel=1e-9)


def test_smoothing_of_an_objective_is_for_training_only() -> None:
    network, labelled, _ = two_outputs()
    losses = []
    for smoothing in (0.0, 0.3):
        objective = replace(labelled, loss=SoftmaxCrossEntropy(smoothing))
        with training(network, (objective,), split_of(places), STILL) as trainer:
            (record,) = trainer.fit()
            losses.append((record.train_loss, record.validation_loss))
    assert losses[0][0] != pytest.approx(losses[1][0], rel=1e-3)
    assert losses[0][1] == losses[1][1]


def test_two_objectives_go_on_where_a_signal_ended_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid epoch; the sums of both are kept."""
    network, labelled, valued = two_outputs()
    objectives = (replace(labelled, weight=0.5), valued)
    original = Learner.learn

    def learn(learner: Learner, batch: Any, **named: Any) -> None:
        if learner.state.read_control("step") == 10:
            os.kill(os.getpid(), signal.SIGINT)
        original(learner, batch, **named)

    with (
        training(network, objectives, split_of(places), path=tmp_path / "cut") as trainer,
        monkeypatch.context() as patch,
    ):
        patch.setattr(Learner, "learn", learn)
        with pytest.raises(TrainingInterrupted):
            list(trainer.fit())
    totals = state_of(tmp_path / "cut")["progress"]["totals"]
    assert [len(own) for own in totals] == [4, 4]
    assert all(own[0] > 0 and own[3] == 32 for own in totals)
    with training(network, objectives, split_of(places), path=tmp_path / "cut") as trainer:
        trainer.resume()
        list(trainer.fit())
    with training(network, objectives, split_of(places), path=tmp_path / "whole") as trainer:
        list(trainer.fit())
    assert records_of(tmp_path / "cut") == records_of(tmp_path / "whole")
    assert state_of(tmp_path / "cut") == state_of(tmp_path / "whole")


def test_another_number_of_objectives_cannot_go_on(tmp_path: Path) -> None:
    network, labelled, valued = two_outputs()
    with training(network, (labelled, valued), split_of(places), path=tmp_path) as trainer:
        trainer.progress.totals = trainer.learner.sums()
        progress, state = trainer.progress, trainer.learner.state.export()
    with training(network, (labelled,), split_of(places)) as trainer:
        before = trainer.learner.state.export()
        with pytest.raises(CheckpointError, match="2 objectives, and this run has 1"):
            trainer.restore({name: values + 1 for name, values in state.items()}, progress)
        for name, values in trainer.learner.state.export().items():
            np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(
    ("outputs", "loss", "target", "classes", "words"),
    [
        (2, SquaredError(), "size", CLASSES, ["SquaredError of 'fc'", "'size' of 2 numbers", "labels of 3", "'place'"]),
        (3, SquaredError(), "place", CLASSES, ["'place' of 3 numbers", "'place' of 2 float64"]),
        (3, SoftmaxCrossEntropy(), "place", CLASSES, ["'place' of one whole number", "'place' of 2 float64"]),
        (3, SoftmaxCrossEntropy(), "labels", (), ["needs class labels", "'place'"]),
        (2, SoftmaxCrossEntropy(), "labels", CLASSES, ["3 classes", "tells 2 apart", "3 outputs"]),
        (2, SquaredError(), "labels", CLASSES, ["'labels'", "targets={"]),
        (2, SquaredError(), "images", CLASSES, ["'images'", "targets={"]),
    ],
)
def test_objectives_that_the_data_do_not_fit(
    outputs: int, loss: Loss, target: str, classes: tuple[str, ...], words: list[str]
) -> None:
    network, objectives = one_output(loss, outputs, target)
    with pytest.raises(UsageError) as refusal, training(network, objectives, split_of(places, classes)):
        pass
    assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize(("label", "fits"), [(4, True), (5, False), (-1, False)])
def test_named_labels_are_in_range(label: int, fits: bool) -> None:
    network, objectives = one_output(SoftmaxCrossEntropy(), 5, "kind")

    def kinds(labels: np.ndarray[Any, Any]) -> Targets:
        kind = labels.astype(np.int64)
        kind[13] = label
        return {"kind": kind}

    if fits:
        with training(network, objectives, split_of(kinds, ())) as trainer:
            assert len(list(trainer.fit())) == 4
        return
    with (
        pytest.raises(DataError, match=f"image 13 .* label {label} in 'kind'"),
        training(network, objectives, split_of(kinds)),
    ):
        pass


def test_the_trainer_has_the_preprocessing_of_its_learner() -> None:
    network, labelled, _ = two_outputs()
    split = split_of(places)
    with training(network, (labelled,), split) as trainer:
        other = replace(trainer.preprocessing, mean=(0.123,))
        with pytest.raises(UsageError, match=r"0\.123"):
            Trainer(trainer.learner, PLAN, split, other)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objectives": ()}, "nothing to minimise"),
        ({"objectives": two_outputs()[1:], "smoothing": 0.1}, "SoftmaxCrossEntropy"),
        ({"reduction": "average"}, "'average'"),
    ],
)
def test_rules_without_a_meaning(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Rule(Sgd(), **settings)
