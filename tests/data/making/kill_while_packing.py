"""Packs a data set again and again, killed by SIGKILL at one system call after the other.

Run as a program with an empty folder; prints one JSON line per attempt: whether it was killed, and what a reader then
finds under the name of the file. Each attempt runs in a forked child over a file that holds an older data set, every
other one over no file.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import count
from pathlib import Path

import numpy as np

from gpunn.data.dataset import Split
from gpunn.data.decoding.pillow import PillowDecoder
from gpunn.data.making.packing import Packing, pack
from gpunn.data.sources.arrays import ArrayDataset
from gpunn.data.sources.packed.dataset import PackedDataset, read_packed
from tests.training.kill_while_saving import kill_at


def write(path: Path, value: int) -> None:
    half = ArrayDataset(np.full((2, 40, 40, 3), value, np.uint8), [0, 1], ("a", "b"))
    pack(Split(half, half, "one colour"), path, Packing(PillowDecoder(), 1, replace=True))


def killed_in_child(path: Path, number: int) -> bool:
    child = os.fork()
    if child == 0:
        kill_at(number)
        write(path, 2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "packing failed"
    return os.WIFSIGNALED(status)


def found(path: Path) -> int | None:
    """The colour of all pictures of a whole file, None where there is no file."""
    if not path.exists():
        return None
    split = read_packed(path)
    assert isinstance(split.train, PackedDataset)
    assert isinstance(split.validation, PackedDataset)
    assert all(half.verify(index) for half in (split.train, split.validation) for index in range(2))
    return int(split.train.load(1).max())


def main(folder: Path) -> None:
    path = folder / "x"
    for number in count(1):
        for old in (None, 1):
            path.unlink(missing_ok=True)
            if old is not None:
                write(path, old)
            killed = killed_in_child(path, number)
            print(json.dumps({"killed": killed, "old": old, "found": found(path)}))
        if not killed:
            break
    write(path, 1)
    print(json.dumps(sorted(entry.name for entry in folder.iterdir())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
