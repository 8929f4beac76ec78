"""AlexNet's ten crops against a loop over them in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpunn.backend.contract import Device
from gpunn.backend.cpu.device import CpuDevice
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.backend.emulator.opening import open_with
from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing
from gpunn.errors import UsageError
from gpunn.layers import Flatten, Linear, Softmax
from gpunn.network import Network, Sequential
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.training import load_run, new_run, with_recipe
from gpunn.training.evaluation import evaluate_run
from gpunn.training.learner import Learner
from gpunn.training.observer import Silence
from gpunn.training.rule import Rule
from gpunn.training.ten_crop import TenCrop
from tests.data.pictures import random_picture

#: Crops of 9 x 7 out of squares of 12: corners at 0 and 3 down, 0 and 5 across; the centre at 1 and 2.
PREPROCESSING = Preprocessing(9, 7, 3, "crop", 12, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
CORNERS = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
CLASSES = 7


@pytest.fixture(params=["cpu", "emulator"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    opened = CpuDevice(threads=2) if request.param == "cpu" else open_with(EmulatorSettings())
    yield opened
    opened.close()


def network(ends_in_softmax: bool) -> Network:
    layers = [Flatten(name="flatten"), Linear(None, CLASSES, name="fc")]
    return Sequential(*layers, *([Softmax(name="softmax")] if ends_in_softmax else [])).network((9, 7, 3), "linear")


def batch_of(size: int, seed: int) -> Batch:
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (size, 12, 12, 3), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, size).astype(np.int32)
    return Batch(images, labels, np.zeros((size, 3), np.int32), np.arange(size))


def of_ten_crops(weights: dict[str, Any], image: np.ndarray[Any, Any], preprocessing: Preprocessing) -> Any:
    """The mean of the softmax of ten crops of one square, in float64."""
    found = []
    for top, left in CORNERS:
        crop = image[top : top + 9, left : left + 7]
        for view in (crop, crop[:, ::-1]):
            values = (view / 255 - preprocessing.mean) / preprocessing.std
            scores = values.reshape(-1) @ weights["fc.weight"].astype(np.float64) + weights["fc.bias"]
            exponentials = np.exp(scores - scores.max())
            found.append(exponentials / exponentials.sum())
    return np.mean(found, axis=0)


@pytest.mark.parametrize("ends_in_softmax", [False, True])
def test_the_mean_over_ten_crops(device: Device, ends_in_softmax: bool) -> None:
    learner = Learner(network(ends_in_softmax), device, precision("float32"), PREPROCESSING, Rule(Sgd(), seed=3))
    weights = learner.state.parameters.export()
    batches = [batch_of(5, 1), batch_of(2, 2)]
    means, losses, ranks = [], [], []
    for batch in batches:
        for image, label in zip(batch.images, batch.labels, strict=True):
            mean = of_ten_crops(weights, image, PREPROCESSING)
            means.append(mean)
            losses.append(-np.log(mean[label]))
            ranks.append(sum(mean > mean[label]))
    crops = TenCrop(PREPROCESSING)
    found = np.concatenate([crops.probabilities(learner, batch) for batch in batches])
    np.testing.assert_allclose(found, means, rtol=1e-4, atol=1e-6)
    totals = crops.evaluate(learner, batches)
    assert totals.loss == pytest.approx(sum(losses), rel=1e-4)
    assert (totals.top1, totals.top5, totals.images) == (sum(r < 1 for r in ranks), sum(r < 5 for r in ranks), 7)
    assert totals.mean_losses == (totals.mean_loss,)


def test_there_must_be_something_around_the_centre() -> None:
    with pytest.raises(UsageError, match="stretched to 9x7; leave --crops out"):
        TenCrop(replace(PREPROCESSING, resize="stretch"))
    with pytest.raises(UsageError, match="scaled to 9x9"):
        TenCrop(replace(PREPROCESSING, width=9, resize_to=9))
    assert TenCrop(PREPROCESSING).pictures == replace(PREPROCESSING, height=12, width=12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on photographs of several sizes; lecture-cnn takes 32x32, of squares of 37."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(24):
        path = root / "data" / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_picture(number, 37 + number % 4, 37 + number % 3)).save(path)
    settings = {"data": str(root / "data"), "model": "lecture-cnn", "epochs": 1, "device": "cpu", "decoder": "pillow"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpunn.training.curve_picture.draw_curves", lambda *_: None)
        list(new_run(with_recipe({**settings, "image_size": 32}), root / "run", Silence()).fit())
    return root


def test_a_run_is_measured_by_them(trained: Path) -> None:
    """Squares of side 37 are cut from the pictures whose shorter side is 37 without scaling; the others are scaled."""
    evaluation = evaluate_run(trained / "run", str(trained / "data"), "cpu", ten_crops=True)
    assert evaluation.notes[-1] == (
        "the network sees 10 crops of 32x32 of each: the corners, the centre, and their mirrors"
    )
    run = load_run(trained / "run", "cpu")
    loss = 0.0
    for path in sorted((trained / "data").glob("*/*.png")):
        with Image.open(path) as opened:
            width, height = opened.size
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            if side == 37:
                left, top = int(left), int(top)
            box = (left, top, left + side, top + side)
            square = np.asarray(opened.resize((37, 37), Image.Resampling.BILINEAR, box=box))
        views = []
        for top, left in ((0, 0), (0, 5), (5, 0), (5, 5), (2, 2)):
            crop = square[top : top + 32, left : left + 32]
            views += [crop, crop[:, ::-1]]
        batch = Batch(np.stack(views), np.zeros(10, np.int32), np.zeros((10, 3), np.int32), np.arange(10))
        mean = run.learner.predict(batch).mean(axis=0)
        loss -= np.log(mean[run.classes.index(path.parent.name)])
    assert evaluation.totals.images == 24
    assert evaluation.totals.loss == pytest.approx(loss, rel=1e-5)
    assert evaluation.epochs == 1
    centre = evaluate_run(trained / "run", str(trained / "data"), "cpu")
    assert centre.totals.loss != pytest.approx(loss, rel=1e-6)
