"""Draws the learning curves of the recipes from docs/pictures/runs/NAME.jsonl, the metrics.jsonl of each run.

Usage: python docs/pictures/learning_curves.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from gpunn.training.curves import draw_curves
from gpunn.training.history import read_records

HERE = Path(__file__).parent
#: What is written above the curves of each run.
TITLES = {
    "digits": "gpunn train",
    "lecture-cnn": "gpunn train --model lecture-cnn",
    "fashion-mnist": "gpunn train --data fashion-mnist --epochs 5",
    "own-pictures": "gpunn train --data shapes --model lecture-cnn",
}


def main(folder: Path) -> None:
    """Write NAME-curves.png for each run."""
    for name, title in TITLES.items():
        draw_curves(read_records(HERE / "runs" / f"{name}.jsonl"), folder / f"{name}-curves.png", title)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
