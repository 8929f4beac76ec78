"""The picture of the learning curves: it is there, has something on it, and touches no state of matplotlib's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from gpunn.errors import CheckpointError
from gpunn.training.curves import accuracy_limits, draw_curves
from gpunn.training.history import EpochRecord


def record_of(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch, 63 * epoch, 2 / epoch, 1 - 0.5 / epoch, 2.2 / epoch, 1 - 0.6 / epoch, 0.99, 0.1 / epoch, 800.0, 3.0, 0.0
    )


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def pixels_like(path: Path, color: tuple[int, int, int]) -> int:
    return int((np.abs(pixels_of(path) - color).max(axis=2) < 8).sum())


TRAINING = (0x1F, 0x6F, 0xB4)
VALIDATION = (0xD1, 0x49, 0x5B)


@pytest.mark.parametrize("epochs", [0, 1, 2, 40])
def test_any_number_of_epochs_can_be_drawn(tmp_path: Path, epochs: int) -> None:
    path = tmp_path / "curves.png"
    draw_curves([record_of(epoch) for epoch in range(1, epochs + 1)], path, "lenet on $digits")
    assert pixels_of(path).shape == (500, 1500, 3)
    assert list(tmp_path.iterdir()) == [path]
    assert (pixels_like(path, TRAINING) > 0) == (epochs > 0)


def test_without_validation_only_training_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    records = [record_of(epoch) for epoch in range(1, 5)]
    draw_curves(records, path, "lenet")
    assert pixels_like(path, VALIDATION) > 100
    draw_curves([replace(r, validation_loss=None, validation_top1=None) for r in records], path, "lenet")
    assert pixels_like(path, VALIDATION) == 0
    assert pixels_like(path, TRAINING) > 100


def test_values_that_are_not_finite_do_not_matter(tmp_path: Path) -> None:
    records = [record_of(1), replace(record_of(2), train_loss=float("nan"), validation_loss=float("inf"))]
    draw_curves(records, tmp_path / "curves.png", "lenet")


def test_a_folder_that_is_not_there_is_surfaced(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"curves\.png"):
        draw_curves([record_of(1)], tmp_path / "gone" / "curves.png", "lenet")


def test_matplotlib_is_imported_only_when_drawing_and_pyplot_never(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from gpunn.training.curves import accuracy_limits, draw_curves
assert "matplotlib" not in sys.modules
draw_curves([], Path(sys.argv[1]), "lenet")
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "curves.png")], check=True)


def rising(accuracies: list[float]) -> list[EpochRecord]:
    return [replace(record_of(1 + k), train_top1=top1, validation_top1=None) for k, top1 in enumerate(accuracies)]


@pytest.mark.parametrize(
    "accuracies",
    [
        [0.58, 0.9, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.99],
        [0.1, *[1 - 0.5 / k for k in range(1, 40)]],
        [0.1, 0.9, 0.985, 0.2, 0.95, 0.96, 0.97, 0.98],
    ],
)
def test_the_later_half_of_many_epochs_fills_half_of_the_height(accuracies: list[float]) -> None:
    late = accuracies[len(accuracies) // 2 :]
    limits = accuracy_limits(rising(accuracies))
    assert limits is not None
    low, high = limits
    assert low < min(late) < max(accuracies) < high
    assert max(late) - min(late) >= 0.4999 * (high - low)


@pytest.mark.parametrize(
    "accuracies", [[0.58, 0.9, 0.95, 0.96], [0.01 * k * k for k in range(10)], [float("nan")] * 10, []]
)
def test_few_epochs_and_those_that_rise_to_the_end_are_shown_from_the_first(accuracies: list[float]) -> None:
    assert accuracy_limits(rising(accuracies)) is None


def test_an_early_best_stays_on_the_axis() -> None:
    accuracies = [0.1, 0.9, 0.99, 0.2, 0.5, 0.5, 0.51, 0.52]
    limits = accuracy_limits(rising(accuracies))
    assert limits is not None
    assert 0.2 < limits[0] < 0.5
    assert limits[1] > 0.99


def test_late_epochs_that_do_not_differ_are_not_drawn_as_if_they_did(tmp_path: Path) -> None:
    limits = accuracy_limits(rising([0.5, 0.9, *[1.0] * 10]))
    assert limits is not None
    assert limits[1] - limits[0] == pytest.approx(0.005)
    draw_curves(rising([0.5, 0.9, *[1.0] * 10]), tmp_path / "curves.png", "lenet")


@pytest.mark.parametrize(
    ("epochs", "told"), [(2, "2 epochs go below this axis, down to 50.0%"), (1, "epoch 1 goes below")]
)
def test_the_axis_tells_of_epochs_that_it_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, told: str
) -> None:
    labels: list[str] = []
    monkeypatch.setattr(Axes, "set_xlabel", lambda _, text: labels.append(text))
    draw_curves(rising([0.5, 0.6][:epochs] + [0.99, 0.991, 0.992] * 4), tmp_path / "curves.png", "lenet")
    assert told in labels[-1]
    draw_curves(rising([0.5, 0.6, 0.7]), tmp_path / "curves.png", "lenet")
    assert labels[-1] == "epoch"
