"""Draws docs/pictures/seven.png, a digit for trying `gpunn predict`: white strokes on black, 28x28, like MNIST."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 28
ENLARGED = 8
STROKE = 20


def main() -> None:
    """Draw large, then shrink, so that the strokes get soft edges."""
    large = Image.new("L", (SIZE * ENLARGED, SIZE * ENLARGED))
    ImageDraw.Draw(large).line([(64, 60), (160, 60), (100, 176)], fill=255, width=STROKE, joint="curve")
    large.resize((SIZE, SIZE), Image.Resampling.BOX).save(Path(__file__).with_name("seven.png"))


if __name__ == "__main__":
    main()
