"""Which branches of the kernels were ever taken, counted by gcov.

    executor = EmulatorExecutor(EmulatorSettings(coverage=folder))
    ...                                  # launches
    executor.close()
    branch_coverage(folder)["relu.cu"]   # BranchCoverage(taken=11, total=12, missed=(40,))

A kernel file that was never launched was never built, and is not in the result.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpunn.errors import DeviceError

#: A way out of a condition: line, how many ways out its line has, and the number of this one.
_Branch = tuple[int, int, int]


@dataclass(frozen=True)
class BranchCoverage:
    """The branches of one file: each condition has two, the one that is taken when it holds and the other.

    Attributes:
        taken: branches that were taken at least once.
        total: all branches.
        missed: the lines with a branch that was never taken.
    """

    taken: int
    total: int
    missed: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """From 0 to 1; a file without branches has 1."""
        return self.taken / self.total if self.total else 1.0


def branch_coverage(folder: Path) -> dict[str, BranchCoverage]:
    """The coverage of every .cu and .cuh file by its name, from the counts that closed executors left in the folder.

    A line that was compiled several times, for several template arguments or compile-time choices, counts once: a
    branch is taken when any of them took it.

    Raises:
        DeviceError: when gcov is missing, or cannot read the counts.
    """
    counts: dict[str, dict[_Branch, int]] = {}
    for file in sorted(folder.rglob("*.gcda")):
        for name, branch, count in _branches(file):
            of_file = counts.setdefault(name, {})
            of_file[branch] = of_file.get(branch, 0) + count
    return {name: _coverage(of_file) for name, of_file in sorted(counts.items())}


def _coverage(counts: dict[_Branch, int]) -> BranchCoverage:
    missed = {line for (line, _, _), count in counts.items() if count == 0}
    return BranchCoverage(sum(count > 0 for count in counts.values()), len(counts), tuple(sorted(missed)))


def _branches(counts: Path) -> Iterator[tuple[str, _Branch, int]]:
    for file in _gcov(counts)["files"]:
        name = Path(file["file"]).name
        if not name.endswith((".cu", ".cuh")):
            continue
        for line in file["lines"]:
            branches = line["branches"]
            for number, branch in enumerate(branches):
                yield name, (line["line_number"], len(branches), number), branch["count"]


def _gcov(counts: Path) -> Any:
    gcov = shutil.which("gcov")
    if gcov is None:
        raise DeviceError("gcov is not on the PATH; it comes with g++ (Debian, Ubuntu: apt install g++)")
    command = [gcov, "--json-format", "--stdout", "--branch-probabilities", counts.name]
    result = subprocess.run(command, cwd=counts.parent, capture_output=True, text=True, check=False)
    if result.returncode or not result.stdout.strip():
        raise DeviceError(f"gcov cannot read {counts}: {result.stderr.strip()}")
    return json.loads(result.stdout)
