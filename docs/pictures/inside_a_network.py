"""Trains the recipe for own pictures, and shows the inside of the network with `gpunn show`.

Usage: python docs/pictures/inside_a_network.py [FOLDER [quick]]

It writes inside-filters.png, inside-activations.png, inside-grad-cam.png and inside-errors.png, after some minutes;
quick: of a network that has seen 60 pictures once.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from gpunn.cli.application import run

HERE = Path(__file__).absolute().parent
#: The last of its validation pictures is shown.
SHOWN_CLASS = "0001-triangle-stripes-cyan"


def gpunn(*arguments: str) -> None:
    """One command; RuntimeError when it fails."""
    if run(arguments) != 0:
        raise RuntimeError(f"gpunn {' '.join(arguments)} failed")


def train(images: int, *settings: str) -> None:
    """Make shapes/ and train runs/own, as the recipe says."""
    gpunn("data", "synthesize", "shapes", "--classes", "10", "--images", str(images), "--size", "128x96")
    gpunn("train", "--data", "shapes", "--model", "lecture-cnn", "--out", "runs/own", *settings)


def draw(folder: Path) -> None:
    """What `gpunn show` makes of the run, under the names that the pages use."""
    picture = str(max(Path("shapes/val", SHOWN_CLASS).iterdir()))
    gpunn("show", "runs/own", "--out", "shown", "--filters", "--errors", "--data", "shapes/val")
    gpunn(
        *("show", "runs/own", "--out", "shown", "--class", SHOWN_CLASS),
        *("--activations", picture, "--grad-cam", picture),
    )
    for name in ("filters", "activations", "grad-cam", "errors"):
        (made,) = Path("shown").glob(f"{name}*.png")
        shutil.copyfile(made, folder / f"inside-{name}.png")


def main(folder: Path, quick: bool) -> None:
    """Train, and write the four pictures."""
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
        train(*((60, "--epochs", "1") if quick else (4000,)))
        draw(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else HERE, "quick" in sys.argv[2:])
