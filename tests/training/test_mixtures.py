"""Runs whose images are mixed, lit and oversampled: what they minimise, keep and refuse."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.contract import Device
from gpunn.data.adaptation import colour_axes
from gpunn.data.augmenting.augmentation import Augmentation
from gpunn.data.dataset import Split
from gpunn.data.selection import select
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.digits import read_digits
from gpunn.data.targets import SOFT_LABELS
from gpunn.errors import CheckpointError, UsageError
from gpunn.losses import SoftmaxCrossEntropy, SoftTargetCrossEntropy
from gpunn.models import model
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule
from gpunn.training import Learner, Plan, Rule, Trainer, fit_network, load_run, new_run, resume_run, with_recipe
from gpunn.training.evaluation import evaluate_run
from gpunn.training.objectives import soft_label_objectives
from gpunn.training.observer import Silence
from tests.training.runs import (
    CLASSES,
    SIZE,
    Recorder,
    assert_same_run,
    network,
    preprocessing_of,
    records_of,
    state_of,
    striped,
    stripes,
)

pytestmark = pytest.mark.usefixtures("no_curves")

MIXED = {"base": "none", "mixup": 0.4, "cutmix": 1.0, "mix_share": 0.8, "mirror": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes in colour, four times as many of the first class as of the others."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for half, count in (("train", 60), ("validation", 21)):
        pictures, labels = striped(count, count)
        tinted = pictures * rng.uniform(0.5, 1.0, (count, 1, 1, 3))
        kept = (labels == 0) | (np.arange(count) % 4 == 0) if half == "train" else np.full(count, True)
        arrays[f"{half}_images"], arrays[f"{half}_labels"] = tinted.astype(np.uint8)[kept], labels[kept]
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, **arrays)
    return path


def settings(path: Path, **others: Any) -> dict[str, Any]:
    given = {"data": str(path), "model": "mlp", "epochs": 2, "batch_size": 16, "threads": 2, "learning_rate": 0.05}
    return {**given, "augmentation": MIXED, **others}


def run(out: Path, given: dict[str, Any]) -> Trainer:
    trainer = new_run(with_recipe(given), out, Silence())
    for _ in trainer.fit():
        pass
    return trainer


def trainer(
    cpu: Device, split: Split, augmentation: Augmentation | None, *, soft: bool, outputs: int | None = None
) -> Trainer:
    preprocessing = preprocessing_of(split)
    net = network() if outputs is None else model("mlp").build((SIZE, SIZE, 1), outputs)
    rule = Rule(Sgd(), objectives=soft_label_objectives(net) if soft else None)
    learner = Learner(net, cpu, precision("float32"), preprocessing, rule)
    return Trainer(learner, Plan(1, 8, ConstantSchedule(0.05)), split, preprocessing, augmentation)


def test_lenet_learns_digits_from_mixtures(cpu: Device) -> None:
    digits = read_digits()
    every_fifth = np.arange(0, len(digits.train), 5, dtype=np.int64)
    split = replace(
        digits, train=select(digits.train, every_fifth), validation=select(digits.validation, every_fifth[:200])
    )
    fitting = fit_network(model("lenet"), split.train)
    rule = Rule(Sgd(momentum=0.9), objectives=soft_label_objectives(fitting.network))
    learner = Learner(fitting.network, cpu, precision("float32"), fitting.preprocessing, rule)
    augmentation = Augmentation(mixup=0.4, cutmix=1.0)
    plan = Plan(3, 32, ConstantSchedule(0.02))
    first, *_, last = Trainer(learner, plan, split, fitting.preprocessing, augmentation).fit()
    assert last.train_loss < first.train_loss - 0.2
    assert last.validation_loss is not None
    assert last.validation_loss < 1.0
    assert last.validation_top1 is not None
    assert last.validation_top1 > 0.7
    # Mixtures are harder than what they are made of.
    assert last.validation_loss < last.train_loss


def test_a_run_with_mixtures_minimises_soft_labels_and_measures_whole_ones(data: Path, tmp_path: Path) -> None:
    trained = run(tmp_path / "run", settings(data, label_smoothing=0.1))
    (objective,) = trained.learner.objectives
    assert objective.loss == SoftTargetCrossEntropy(0.1)
    assert objective.target == SOFT_LABELS
    best = records_of(tmp_path / "run")[state_of(tmp_path / "run", "best")["progress"]["epoch"] - 1]
    # What evaluates knows whole labels only.
    assert load_run(tmp_path / "run", "cpu").learner.objectives[0].loss == SoftmaxCrossEntropy()
    found = evaluate_run(tmp_path / "run", None, "cpu").totals
    assert found.mean_loss == pytest.approx(best["validation_loss"], rel=1e-6)
    assert found.top1_rate == best["validation_top1"]


def test_workers_change_nothing_in_a_run_with_every_change(data: Path, tmp_path: Path) -> None:
    everything = {
        "base": "alexnet",
        "shift": 0.1,
        "rotation": 10,
        "brightness": 0.3,
        "contrast": 0.3,
        "saturation": 0.3,
        "hue": 20,
        "noise": 0.02,
        "erase": 0.5,
        "mixup": 0.4,
        "cutmix": 1.0,
    }
    for workers, kind in ((1, "threads"), (3, "threads"), (2, "processes")):
        run(
            tmp_path / f"{workers}-{kind}",
            settings(data, augmentation=everything, workers=workers, worker_kind=kind, oversample=True, epochs=1),
        )
    assert_same_run(tmp_path / "3-threads", tmp_path / "1-threads")
    assert_same_run(tmp_path / "2-processes", tmp_path / "1-threads")


def test_light_is_measured_once_and_kept_for_those_who_resume(data: Path, tmp_path: Path) -> None:
    given = settings(data, augmentation={"base": "alexnet", "mixup": 0.2})
    run(tmp_path / "whole", given)
    kept = tomllib.loads((tmp_path / "whole" / "config.toml").read_text())["augmentation"]
    with np.load(data) as arrays:
        images, labels = arrays["train_images"], arrays["train_labels"]
    axes = colour_axes(ArrayDataset(images, labels, CLASSES))
    assert kept == {"base": "alexnet", "mixup": 0.2, "colour_axes": [list(axis) for axis in axes]}

    for _ in new_run(with_recipe(given), tmp_path / "parts", Silence()).fit():
        break
    resumed = resume_run(tmp_path / "parts", Silence())
    for _ in resumed.fit():
        pass
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_an_edited_augmentation_is_refused_on_resume(data: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", settings(data, epochs=1))
    path = tmp_path / "run" / "config.toml"
    path.write_text(path.read_text().replace("mixup = 0.4", "mixup = 0.3"))
    with pytest.raises(CheckpointError, match="augmentation is"):
        resume_run(tmp_path / "run", Silence())


def test_oversampling_is_a_setting(data: Path, tmp_path: Path) -> None:
    observer = Recorder()
    trainer = new_run(with_recipe(settings(data, oversample=True)), tmp_path / "run", observer)
    assert np.bincount(trainer.split.train.labels).tolist() == [20, 20, 20]
    assert any("repeated, so that classes are even" in note for note in observer.notes)
    assert (
        "augmentation: 50% mirrored, 80% mixed with another picture by mixup of strength 0.4 or cutmix of strength 1"
        in observer.notes
    )


@pytest.mark.parametrize(
    ("augmentation", "soft", "outputs", "said"),
    [
        (Augmentation(mixup=0.2), False, None, "soft_label_objectives"),
        (None, True, None, "only mixup and cutmix make"),
        (Augmentation(mirror=0.5), True, None, "only mixup and cutmix make"),
        (Augmentation(cutmix=0.2), True, 5, "5 outputs, and soft labels are of 3 classes"),
    ],
)
def test_objectives_and_augmentation_have_to_agree(
    cpu: Device, augmentation: Augmentation | None, soft: bool, outputs: int | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        trainer(cpu, stripes(), augmentation, soft=soft, outputs=outputs)
