"""Data sets for tests of loaders: pictures that tell their index, and pictures that get their reader into trouble.

They live in a module of their own because worker processes import them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gpunn.data.loading.batch import Batch
from gpunn.data.preprocessing import Preprocessing

HEIGHT, WIDTH = 6, 7
SAME_SIZE = Preprocessing(HEIGHT, WIDTH, 1, "stretch", WIDTH, (0.5,), (0.5,))

Trouble = Literal["damaged", "kill", "crash", "exit", "hang"]


def pixels(index: int) -> npt.NDArray[np.uint8]:
    """Of the picture with this index: its index in every pixel, in two halves."""
    picture = np.full((HEIGHT, WIDTH, 1), index % 256, np.uint8)
    picture[HEIGHT // 2 :] = index // 256
    return picture


@dataclass
class Files:
    """Image files (PGM) in no folder.

    Attributes:
        count: how many.
        folder: where `hang` has its pipe, and where it is noted in "read" which pictures were read by whom.
        trouble: what happens to those who read a picture, until there is a file "calm".
        shards: as a data set has it.
    """

    count: int
    folder: Path
    trouble: Mapping[int, Trouble] = field(default_factory=dict)
    shards: npt.NDArray[np.int32] | None = None
    classes: tuple[str, ...] = ("ant", "bee", "cat")

    picture_shape = (HEIGHT, WIDTH, 1)

    def __post_init__(self) -> None:
        self.labels = np.arange(self.count, dtype=np.int32) % 3
        self.targets = {"angle": np.linspace(0, 1, self.count)[:, np.newaxis]}
        if not self.pipe.exists():
            os.mkfifo(self.pipe)

    @property
    def pipe(self) -> Path:
        """Whoever opens it is kept waiting until `let_go`."""
        return self.folder / "pipe"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"picture {index}"

    def fingerprint(self) -> str:
        return ""

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        return pixels(index)

    def read(self, index: int) -> bytes:
        with (self.folder / "read").open("a") as file:
            file.write(f"{os.getpid()} {index}\n")
        match None if (self.folder / "calm").exists() else self.trouble.get(index):
            case "damaged":
                return b"no picture"
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "hang":
                self.pipe.read_bytes()
        return b"P5 %d %d 255\n" % (WIDTH, HEIGHT) + pixels(index).tobytes()

    def readers(self) -> dict[int, int]:
        """The process that read each picture last."""
        path = self.folder / "read"
        lines = path.read_text().splitlines() if path.exists() else []
        return {int(index): int(process) for process, index in map(str.split, lines)}

    def let_go(self) -> bool:
        """Those who hang go on; whether there were any."""
        try:
            os.close(os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True


class Unloadable(Files):
    """Can be pickled, and cannot be unpickled."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _refuse, ()


def _refuse() -> None:
    raise LookupError("this class is not at home here")


def copied(batches: Iterable[Batch]) -> list[dict[str, npt.NDArray[Any]]]:
    """What is in the batches, in memory of its own."""
    return [
        {
            name: values.copy()
            for name, values in (
                ("images", batch.images),
                ("labels", batch.labels),
                ("placement", batch.placement),
                ("indices", batch.indices),
                *batch.targets.items(),
            )
        }
        for batch in batches
    ]


def assert_equal(first: list[dict[str, npt.NDArray[Any]]], second: list[dict[str, npt.NDArray[Any]]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], name)
