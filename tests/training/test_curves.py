"""The picture of the learning curves: it is there, has something on it, and touches no state of matplotlib's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpunn.errors import CheckpointError
from gpunn.training.curves import draw_curves
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
from gpunn.training.curves import draw_curves
assert "matplotlib" not in sys.modules
draw_curves([], Path(sys.argv[1]), "lenet")
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "curves.png")], check=True)
