"""Bank conflicts, drawn from what the emulator records: which memory banks the lanes of a warp touch together.

    python docs/pictures/bank_conflicts.py

runs the loads and stores of the convolution kernels as they are, and from a copy of their headers in which the XOR, or
the padding, is taken out. Addresses come from bank_conflicts.cu; the number of wavefronts from the emulator's recorder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpunn.backend import cuda
from gpunn.backend.contract import Primitives
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource, kernel_folder
from gpunn.backend.emulator.launcher import EmulatorExecutor, EmulatorSettings
from gpunn.backend.emulator.memory import HostMemory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
BANKS, WORD_BYTES, LANES = 32, 4, 32
CHUNK_WORDS = 4  # 16 bytes: what a lane names for ldmatrix
LINE_CHUNKS = 4  # of A: 32 numbers of 2 bytes
ELEMENT_BYTES = 2
#: What is taken out of a header, and what stands there instead.
WITHOUT = {
    "tensor_core_tile.cuh": ((" ^ index / 2 % 4", ""), (" ^ depth % PERIOD;", ";")),
    "tile_product.cuh": (("SHARED_ROW = TILE + QUAD", "SHARED_ROW = TILE"),),
}
#: Okabe and Ito's colours, which most colour-blind people tell apart.
ORDER = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


@dataclass(frozen=True)
class Request:
    """One access of a warp to shared memory.

    Attributes:
        words: the first word that each lane touches.
        width: words of a lane.
        wavefronts: what the recorder counted.
    """

    words: tuple[int, ...]
    width: int
    wavefronts: int

    @property
    def together(self) -> int:
        """Lanes that are served at the same time, if their banks differ: those that fill 128 bytes."""
        return BANKS // self.width

    def turns(self) -> list[int]:
        """In which wavefront of its part of the warp each lane is served: the first that has its banks free."""
        found: list[int] = []
        for lane, word in enumerate(self.words):
            first = lane - lane % self.together
            taken = {found[other] for other in range(first, lane) if _clash(self.words[other], word)}
            found.append(next(turn for turn in range(LANES) if turn not in taken))
        return found

    @property
    def counted(self) -> int:
        """The wavefronts by the addresses alone: the recorder must agree."""
        turns = self.turns()
        return sum(1 + max(turns[i : i + self.together]) for i in range(0, LANES, self.together))


def _clash(one: int, other: int) -> bool:
    return one != other and one % BANKS == other % BANKS


def record(folder: Path) -> dict[str, Request]:
    """The requests of the kernels in `folder`, by name: rows, columns and patches."""
    executor = EmulatorExecutor(EmulatorSettings(check=True, record=True, workers=1))
    device = CudaDevice("emulator", HostMemory(), executor, cast("Primitives", cuda))
    source = KernelSource(folder / "bank_conflicts.cu")
    rows = _launch(device, source, "load_rows", "fragments", np.zeros(LANES * 4, np.uint32)).reshape(LANES, 4)
    columns = _launch(device, source, "load_columns", "fragments", np.zeros(LANES * 4, np.uint32)).reshape(LANES, 4)
    row_words = 128 if "SHARED_ROW = TILE;" in (folder / "tile_product.cuh").read_text() else 132
    stored = _launch(device, source, "store_patches", "stored", np.zeros(8 * row_words, np.int32))
    device.close()
    return {
        "rows": Request(_named_rows(rows), CHUNK_WORDS, _wavefronts(executor, "load_rows", "read", 16)),
        "columns": Request(_named_columns(columns), CHUNK_WORDS, _wavefronts(executor, "load_columns", "read", 16)),
        "patches": Request(_written(stored), 1, _wavefronts(executor, "store_patches", "write", 4)),
    }


def _launch(device: Any, source: KernelSource, kernel: str, argument: str, host: np.ndarray[Any, Any]) -> Any:
    memory = device.allocate(device.size_of(host.shape, host.dtype, "plain"))
    array = device.view(memory, 0, host.shape, host.dtype, "plain")
    device.upload(array, host)
    device.launcher.launch_from(source, kernel, Grid((1, 1, 1), (128, 1, 1)), {argument: array}, {"TILE": "128"})
    return device.download(array)


def _named_rows(fragments: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """Lane l names row l % 8 of matrix l / 8; that row's first two numbers went to lane 4 (l % 8)."""
    first = [int(fragments[lane % 8 * 4, lane // 8]) & 0xFFFF for lane in range(LANES)]
    return tuple(element * ELEMENT_BYTES // WORD_BYTES for element in first)


def _named_columns(fragments: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """Transposed, the first numbers of rows 2 i and 2 i + 1 are the halves of lane i's register."""
    first = [int(fragments[lane % 8 // 2, lane // 8]) >> 16 * (lane % 2) & 0xFFFF for lane in range(LANES)]
    return tuple(element * ELEMENT_BYTES // WORD_BYTES for element in first)


def _written(stored: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple(int(np.flatnonzero(stored == lane + 1)[0]) for lane in range(LANES))


def _wavefronts(executor: EmulatorExecutor, kernel: str, operation: str, width: int) -> int:
    """Of one request of the access that lies in a header."""
    (found,) = {
        traffic.wavefronts // traffic.requests
        for access, traffic in executor.profile.lines.items()
        if access.kernel == kernel
        and (access.space, access.operation, access.bytes) == ("shared", operation, width)
        and not access.places[0].startswith("bank_conflicts.cu")
    }
    return found


def recorded() -> tuple[dict[str, Request], dict[str, Request]]:
    """The requests without the measures against conflicts, and as the packaged headers make them."""
    results = []
    for change in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(HERE / "bank_conflicts.cu", folder)
            for file, replacements in WITHOUT.items():
                text = (kernel_folder() / file).read_text()
                for old, new in replacements:
                    if old not in text:
                        raise LookupError(f"{file} has no '{old}': the picture shows what the kernel does no more")
                    text = text.replace(old, new) if change else text
                (Path(folder) / file).write_text(text)
            # Headers that include these find the copies beside them.
            loads = (kernel_folder() / "tensor_core_loads.cuh").read_text()
            (Path(folder) / "tensor_core_loads.cuh").write_text(loads)
            results.append(record(Path(folder)))
    return results[0], results[1]


def _draw_request(axes: Axes, request: Request, title: str) -> None:
    """Lanes down, banks across; the colour says in which wavefront a lane is served."""
    from matplotlib.patches import Rectangle

    turns = request.turns()
    for lane, (word, turn) in enumerate(zip(request.words, turns, strict=True)):
        place = (word % BANKS, lane)
        axes.add_patch(Rectangle(place, request.width, 1, facecolor=ORDER[turn], edgecolor="white", linewidth=0.6))
    for first in range(0, LANES, request.together):
        axes.axhline(first, color="#444444", linewidth=0.8)
        count = 1 + max(turns[first : first + request.together])
        where = first + request.together / 2
        axes.text(BANKS + 0.6, where, f"{count}", va="center", ha="left", fontsize=13, fontweight="bold")
    axes.set(xlim=(0, BANKS), ylim=(LANES, 0), xlabel="bank", ylabel="lane")
    axes.set_xticks(np.arange(0, BANKS, 4) + 0.5, [str(bank) for bank in range(0, BANKS, 4)])
    axes.set_yticks(np.arange(0, LANES, 4) + 0.5, [str(lane) for lane in range(0, LANES, 4)])
    axes.set_title(f"{title}: {request.wavefronts} wavefront{'s' * (request.wavefronts > 1)}", fontsize=11)


def _draw_memory(axes: Axes, request: Request) -> None:
    """The first lines of A as they lie in shared memory; what lanes 0 to 7 read is coloured."""
    from matplotlib.patches import Rectangle

    turns = request.turns()
    chunk_of_lane = {word // CHUNK_WORDS: lane for lane, word in enumerate(request.words[:8])}
    chunks_a_row = BANKS // CHUNK_WORDS
    for chunk in range(4 * chunks_a_row):
        row, column = divmod(chunk, chunks_a_row)
        lane = chunk_of_lane.get(chunk)
        colour = "#f2f2f2" if lane is None else ORDER[turns[lane]]
        axes.add_patch(Rectangle((column * CHUNK_WORDS, row), CHUNK_WORDS, 1, facecolor=colour, edgecolor="white"))
        if lane is not None:
            centre = (column * CHUNK_WORDS + CHUNK_WORDS / 2, row + 0.5)
            axes.text(
                *centre,
                f"line {lane}",
                ha="center",
                va="center",
                fontsize=9,
                color="black" if turns[lane] % 2 else "white",
            )
    axes.axvline(BANKS / 2, color="#444444", linewidth=0.8)
    axes.set(xlim=(0, BANKS), ylim=(4, 0), yticks=[])
    axes.set_xticks(np.arange(0, BANKS, 4) + 0.5, [str(bank) for bank in range(0, BANKS, 4)])
    axes.set_ylabel("128 bytes\neach", fontsize=9)
    axes.set_title("Where chunk 0 of lines 0 to 7 lies", fontsize=10)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="png", dpi=200, metadata={"Software": None})


def draw(name: str, without: Request, with_measure: Request, titles: tuple[str, str], path: Path) -> None:
    """Both requests side by side; of the rows of A also where they lie."""
    from matplotlib.figure import Figure

    has_map = name == "rows"
    figure = Figure(figsize=(9, 6.2 if has_map else 4.6), layout="constrained")
    grid = figure.subplots(2, 2, height_ratios=(1, 3)) if has_map else figure.subplots(1, 2, squeeze=False)
    for column, (request, title) in enumerate(zip((without, with_measure), titles, strict=True)):
        if request.counted != request.wavefronts:
            raise ValueError(f"{name}: {request.counted} wavefronts by the addresses, {request.wavefronts} recorded")
        if has_map:
            _draw_memory(grid[0][column], request)
        _draw_request(grid[-1][column], request, title)
    _save(figure, path)


def main(folder: Path) -> None:
    """Write bank-conflicts-rows.png, -columns.png and -patches.png."""
    without, packaged = recorded()
    for name, titles in {
        "rows": ("Lines as they come", "Chunks exchanged by XOR"),
        "columns": ("Lines as they come", "Chunks exchanged by XOR"),
        "patches": ("Rows of 128 floats", "Rows of 132 floats"),
    }.items():
        draw(name, without[name], packaged[name], titles, folder / f"bank-conflicts-{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
