"""Draws seven.png, a digit for trying `gpunn predict`: white strokes on black, 28x28, like MNIST.

Usage: python docs/pictures/draw_seven.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
SIZE = 28
ENLARGED = 8
STROKE = 20


def main(folder: Path) -> None:
    """Draw large, then shrink, so that the strokes get soft edges."""
    large = Image.new("L", (SIZE * ENLARGED, SIZE * ENLARGED))
    ImageDraw.Draw(large).line([(64, 60), (160, 60), (100, 176)], fill=255, width=STROKE, joint="curve")
    large.resize((SIZE, SIZE), Image.Resampling.BOX).save(folder / "seven.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
