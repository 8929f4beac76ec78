"""What ncu says of the calls that take longest.

    ncu --profile-from-start off python -m benchmarks.gpu.hottest alexnet 128 bfloat16 7

runs one call of a step under the profiler; `profile` does so for the longest ones.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.network_step import NetworkStep, Task
from gpunn import backend

ROOT = Path(__file__).parents[2]
CALLS = 3
SECTIONS = ("SpeedOfLight", "MemoryWorkloadAnalysis", "ComputeWorkloadAnalysis", "Occupancy", "WarpStateStats")
#: The end of a report that is kept.
TAIL = 8000


def profile(device: str, task: Task, precision: str, layers: Sequence[Mapping[str, Any]], seconds: float) -> list[str]:
    """The report of each of the longest calls; says so where ncu is missing, or has no leave to count.

    Args:
        device: such as "cuda".
        task: the network and its batch.
        precision: of the step.
        layers: what `layer_times` gave of it.
        seconds: that all together may take.
    """
    if shutil.which("ncu") is None:
        return ["ncu is not on the PATH: not run"]
    longest = sorted(range(len(layers)), key=lambda index: -float(layers[index]["gpunn_ms"]["median"]))[:CALLS]
    options = ["--profile-from-start", "off", *(part for name in SECTIONS for part in ("--section", name))]
    reports = []
    for index in longest:
        program = [sys.executable, "-m", "benchmarks.gpu.hottest", task.network, str(task.batch), precision, str(index)]
        command = ["ncu", *options, *program, device]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=seconds / CALLS, check=False
            )
            reports.append(f"{layers[index]['layer']}, {layers[index]['call']}\n{(done.stdout + done.stderr)[-TAIL:]}")
        except subprocess.TimeoutExpired:
            reports.append(f"{' '.join(command)}: not finished after {seconds / CALLS:.0f} s")
    return reports


def main(network: str, batch: str, precision: str, index: str, device_name: str) -> None:
    """One call of a step, twice to warm up and once under the profiler."""
    import cupy

    device = backend.open(device_name)
    step = NetworkStep(Task(network, int(batch)), device, precision)
    # Earlier calls leave what this one reads: numbers, not zeros.
    step.run()
    call = step.program.binding.step(step.calls[int(index)])
    for _ in range(2):
        call()
    device.synchronize()
    with cupy.cuda.profile():
        call()
        device.synchronize()


if __name__ == "__main__":
    main(*sys.argv[1:])
