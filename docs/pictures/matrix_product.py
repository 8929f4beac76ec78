"""Three pictures of how a convolution is computed: as a matrix product, in tiles, and in stages.

python docs/pictures/matrix_product.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
# Of Okabe and Ito's colours, which most colour-blind people tell apart.
BLUE, ORANGE, GREEN, GREY = "#56B4E9", "#E69F00", "#009E73", "#f2f2f2"


def _cell(axes: Axes, x: float, y: float, colour: str, text: object = "", size: float = 9) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="#555555", linewidth=0.6))
    axes.text(x + 0.5, y + 0.5, str(text), ha="center", va="center", fontsize=size)


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, text: str = "", **how: Any) -> None:
    from matplotlib.patches import Rectangle

    edge = {"edgecolor": "#333333", "linewidth": 1.0, **how}
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, **edge))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9)


def _canvas(axes: Axes, width: float, height: float) -> None:
    axes.set(xlim=(-0.1, width), ylim=(height, -0.1), aspect="equal")
    axes.axis("off")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="png", dpi=200, metadata={"Software": None})


def draw_im2col(path: Path) -> None:
    """An image of 4 x 4, filters of 3 x 3: every patch becomes a row, every filter a column."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots()
    _canvas(axes, 25, 9.9)
    axes.text(2, 2.6, "image: 4 x 4 pixels", ha="center", fontsize=9)
    for pixel in range(16):
        row, column = divmod(pixel, 4)
        _cell(axes, column, 3.2 + row, ORANGE if row < 3 and column > 0 else GREY, pixel)
    axes.text(10.5, 2.6, "patches: a row for each output pixel,\na column for each tap (r, s)", ha="center", fontsize=9)
    for p in range(2):
        for q in range(2):
            for tap in range(9):
                pixel = (p + tap // 3) * 4 + q + tap % 3
                is_window = (p, q) == (0, 1)
                _cell(axes, 6 + tap, 3.2 + p * 2 + q, ORANGE if is_window else GREY, pixel)
            axes.text(5.8, 3.7 + p * 2 + q, f"p={p}, q={q}", ha="right", va="center", fontsize=7)
    for tap in range(9):
        axes.text(6.5 + tap, 7.7, f"{tap // 3},{tap % 3}", ha="center", va="center", fontsize=7)
    axes.text(15.8, 5.2, "x", fontsize=14, ha="center", va="center")
    axes.text(17.5, 0.35, "filters", ha="center", fontsize=9)
    for tap in range(9):
        for k in range(2):
            _cell(axes, 16.5 + k, 0.7 + tap, BLUE if k else GREY)
    axes.text(19.4, 5.2, "=", fontsize=14, ha="center", va="center")
    axes.text(21.5, 2.6, "output", ha="center", fontsize=9)
    for pixel in range(4):
        for k in range(2):
            _cell(axes, 20.5 + k, 3.2 + pixel, GREEN if (pixel, k) == (1, 1) else GREY)
        axes.text(22.8, 3.7 + pixel, f"p={pixel // 2}, q={pixel % 2}", va="center", fontsize=7)
    axes.text(21, 7.7, "k=0", ha="center", va="center", fontsize=7)
    axes.text(22, 7.7, "k=1", ha="center", va="center", fontsize=7)
    _save(figure, path)


def draw_tiles(path: Path) -> None:
    """The product, a block's tile of it, a warp's quarter of that, and what the lanes hold of one fragment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    product, block, warp, fragment = figure.subplots(1, 4)
    _canvas(product, 10, 12)
    product.set_ylim(12, -1.2)
    product.set_title("grid: the product in tiles", fontsize=9)
    _box(product, 0, 4, 3.4, 7.5, GREY)
    product.text(1.7, 9.2, "A\npatches\nN*P*Q rows", ha="center", va="center", fontsize=8)
    _box(product, 4, 0, 5.5, 3.4, GREY)
    product.text(4, -0.25, "B: filters, K columns", fontsize=8)
    for row in range(5):
        for column in range(3):
            _box(product, 4 + column * 1.83, 4 + row * 1.5, 1.83, 1.5, GREEN if (row, column) == (1, 1) else "white")
    _box(product, 0, 5.5, 3.4, 1.5, "none", edgecolor=GREEN, linewidth=2.5)
    _box(product, 5.83, 0, 1.83, 3.4, "none", edgecolor=GREEN, linewidth=2.5)

    _canvas(block, 10, 12)
    block.set_title("block: 128 x 128, 4 warps", fontsize=9)
    _box(block, 0, 4, 1.6, 5.5, BLUE, "A\n128\nx 32")
    _box(block, 4, 0.8, 5.5, 1.6, BLUE, "B: 32 x 128")
    for number in range(4):
        x, y = 4 + number % 2 * 2.75, 4 + number // 2 * 2.75
        _box(block, x, y, 2.75, 2.75, ORANGE if number == 0 else "white", f"warp {number}\n64 x 64")
    block.text(0.8, 11.1, "shared\nmemory", ha="center", fontsize=8)
    block.text(6.75, 3.2, "shared memory", ha="center", fontsize=8, va="center")
    block.text(6.75, 10.2, "registers", ha="center", fontsize=8)

    _canvas(warp, 9, 10.9)
    warp.set_title("warp: 64 x 64 = 4 x 8 products", fontsize=9)
    for row in range(4):
        for column in range(8):
            _box(warp, column, 1 + row * 2, 1, 2, ORANGE if (row, column) == (0, 0) else "white", linewidth=0.7)
    warp.text(4, 10.4, "each 16 x 8,\n16 (TF32: 8) deep", ha="center", fontsize=8)

    _canvas(fragment, 8.2, 17.8)
    fragment.set_title("product: the lane of each sum", fontsize=9)
    for row in range(16):
        for column in range(8):
            lane = row % 8 * 4 + column // 2
            _cell(fragment, column, row, ORANGE if lane == 5 else GREY, lane, 6)
    fragment.text(4, 17.2, "16 rows x 8 columns: 4 sums a lane", ha="center", fontsize=8)
    _save(figure, path)


def draw_stages(path: Path) -> None:
    """Three places in shared memory: while one is multiplied, the copies into the two others are under way."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.3), layout="constrained")
    axes = figure.subplots()
    steps, stages, width = 6, 3, 2.0
    for piece in range(steps + 2):
        stage = piece % stages
        start, multiplied = max(-1.0, piece - 2.0), float(piece)
        end = min(multiplied, steps)
        if start < end:
            _box(axes, start * width, stage, (end - start) * width, 0.8, BLUE, f"copy {piece}")
        if piece < steps:
            _box(axes, multiplied * width, stage, width, 0.8, ORANGE, f"multiply {piece}")
    for step in range(steps + 1):
        axes.axvline(step * width, color="#333333", linewidth=0.8, linestyle="--")
    axes.set(xlim=(-width, steps * width), ylim=(3, -0.2))
    axes.set_xticks([(step + 0.5) * width for step in range(-1, steps)], ["start", *map(str, range(steps))])
    axes.set_yticks([stage + 0.4 for stage in range(stages)], [f"stage {stage}" for stage in range(stages)])
    axes.set_xlabel("step; dashed: wait for the copies of the next piece, and a barrier", fontsize=9)
    _save(figure, path)


def main(folder: Path) -> None:
    """Write im2col.png, tiles.png and stages.png."""
    draw_im2col(folder / "im2col.png")
    draw_tiles(folder / "tiles.png")
    draw_stages(folder / "stages.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
