"""The example programs run, for an epoch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, program: str, *arguments: str) -> str:
    """What a program prints."""
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", ["train_digits.py", "own_layer.py"])
def test_an_example_on_digits_learns_in_one_epoch(program: str, tmp_path: Path) -> None:
    printed = run(tmp_path, program, "1")
    loss = float(printed.split("loss ")[1].split(",")[0])
    assert loss < np.log(10)


def test_the_example_on_a_folder_writes_a_run(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, colour in (("red", 0), ("green", 1), ("blue", 2)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 80, (40, 50, 3), dtype=np.uint8)
            pixels[..., colour] += 150
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.jpg")
    printed = run(tmp_path, "train_folder.py", "pictures", "mlp", "2")
    folder = tmp_path / printed.rsplit("written to ", 1)[1].strip()
    assert (folder / "checkpoints" / "best.safetensors").is_file()
