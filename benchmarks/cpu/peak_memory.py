"""The most memory that a training step holds, each side alone in a process of its own.

    python -m benchmarks.cpu.peak_memory --side gpunn --network vgg16 --batch 16

Two steps, from a process that holds weights and pictures only: how a side drew its first weights does not count. The
first step allocates what the second one uses again. A small network goes before, which loads the libraries: PyTorch
imports some 80 MB with its first optimiser. Resident memory of the whole process, as the system counts it
(VmHWM in /proc/self/status; writing 5 to /proc/self/clear_refs sets it to what is held now: the Linux kernel's
documentation of the proc file system).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from signal import SIGKILL
from typing import Literal

from benchmarks.cpu.task import Case
from gpunn.errors import DeviceError, MemoryExhaustedError
from gpunn.timing.contestant import Task

Side = Literal["gpunn", "pytorch"]
SIDES: tuple[Side, ...] = ("gpunn", "pytorch")
STEPS = 2
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class PeakMemory:
    """Resident bytes of one side's process.

    Attributes:
        imports: before anything of the network was made: the interpreter, the libraries, and what they keep after a
            step of a small one.
        built: with weights and pictures.
        peak: the most of two steps; it holds both of the above.
    """

    imports: int
    built: int
    peak: int

    @property
    def growth(self) -> int:
        """What the network and its steps took; libraries left out."""
        return self.peak - self.imports


def peak_memory(case: Case, side: Side) -> PeakMemory:
    """Measured in a fresh process.

    Raises:
        MemoryExhaustedError: when the system ends the process.
        DeviceError: when the process fails; the text has its error.
    """
    command = [sys.executable, "-m", "benchmarks.cpu.peak_memory", "--side", side]
    for name, value in asdict(case).items():
        command += [f"--{name}", str(value)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    found = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    if found.returncode == -SIGKILL:
        raise MemoryExhaustedError(
            f"the process that measures the peak memory of {side} was killed, as a rule because the machine has no "
            "more memory; use a smaller --batch, or --no-memory"
        )
    if found.returncode:
        raise DeviceError(f"the peak memory of {side} cannot be measured: {found.stderr.strip()}; or use --no-memory")
    return PeakMemory(**json.loads(found.stdout.splitlines()[-1]))


def measure(case: Case, side: Side) -> PeakMemory:
    """In this process, which nobody else has used."""
    training = (_gpunn if side == "gpunn" else _pytorch)(case)
    training(replace(case, network="lenet", batch=1).task)()
    gc.collect()
    imports = resident("VmRSS")
    train = training(case.task)
    gc.collect()
    # A system that forbids it counts what drawing the weights took, too.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    built = resident("VmHWM")
    for _ in range(STEPS):
        train()
    return PeakMemory(imports, built, resident("VmHWM"))


def _gpunn(case: Case) -> Callable[[Task], Callable[[], object]]:
    """Makes the training step of a task."""
    from gpunn import backend
    from gpunn.timing.network_step import NetworkStep

    device = backend.open("cpu", case.threads, case.algorithm)
    return lambda task: NetworkStep(task, device).train


def _pytorch(case: Case) -> Callable[[Task], Callable[[], object]]:
    """Makes the training step of a task."""
    from gpunn.timing.pytorch.library import load_torch
    from gpunn.timing.pytorch.step import PytorchStep

    torch = load_torch()
    torch.set_num_threads(case.threads)
    return lambda task: PytorchStep(torch, task, "cpu").train


def resident(name: Literal["VmRSS", "VmHWM"]) -> int:
    """Bytes of this process, now or at most."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the system does not tell {name}")
    return 1024 * int(found[1])


def main() -> None:
    """Measure, and print an object for `peak_memory`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--algorithm", default="auto")
    arguments = parser.parse_args()
    case = Case(arguments.network, arguments.batch, arguments.threads, arguments.algorithm)
    print(json.dumps(asdict(measure(case, arguments.side))))


if __name__ == "__main__":
    main()
