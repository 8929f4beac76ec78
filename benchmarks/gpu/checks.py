"""Is what runs on the GPU right? Each check gives a list of failures; an empty one is good news."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.self_test import primitive_failures
from gpunn.models import model
from gpunn.precision import precision
from gpunn.program.comparison import compare_devices

ROOT = Path(__file__).parents[2]
#: Networks that are compared call by call: at once, and when the first times are known.
COMPARED = ("lenet", "vgg11-bn-cifar")
COMPARED_LATER = ("alexnet", "alexnet-2group")
COMPARED_IMAGES = 3
SANITIZED = "lenet"
#: In the order of their worth: the time may not suffice for all.
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
#: The end of a program's output that is kept of a failure.
TAIL = 3000


def primitives(device: CudaDevice) -> list[str]:
    """The tensor cores, matrix loads and copies of kernels/primitives*.cuh, to the bit."""
    return primitive_failures(device)


def networks(device: Device, precisions: Sequence[str], names: Sequence[str]) -> list[str]:
    """A training step of whole networks against the CPU, call by call, in every precision."""
    failures: list[str] = []
    cpu = backend.open("cpu")
    for name in names:
        chosen = model(name)
        network = chosen.build(chosen.image, chosen.classes)
        for precision_name in precisions:
            results = compare_devices(network, cpu, device, precision(precision_name), COMPARED_IMAGES, seed=0)
            failures += [f"{name}, {precision_name}: {result}" for result in results if not result.share <= 1]
    cpu.close()
    return failures


def tests(device: str, seconds: float) -> list[str]:
    """The tests of every primitive, on the GPU instead of the emulator."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "backend").glob("test_*.py"))
    # What CuPy warns of on a machine is no fault of a kernel, and not every image has pytest-xdist.
    plain = ["-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider", "--maxfail", "10"]
    command = [sys.executable, "-m", "pytest", "-q", *plain, *files]
    return _failures(command, seconds, {"GPUNN_TEST_DEVICES": device})


def sanitizer(device: str, precisions: Sequence[str], seconds: float) -> dict[str, list[str]]:
    """compute-sanitizer over a small network, each of its tools in every precision, as far as the time goes.

    What was not run, because the tool is missing or the time was used up, counts as a failure that says so.
    """
    if shutil.which("compute-sanitizer") is None:
        return {tool: ["compute-sanitizer is not on the PATH: not run"] for tool in TOOLS}
    end = time.monotonic() + seconds
    found: dict[str, list[str]] = {tool: [] for tool in TOOLS}
    for tool in TOOLS:
        for precision_name in precisions:
            left = end - time.monotonic()
            if left <= 0:
                found[tool].append(f"{precision_name}: not run, the time was used up")
                continue
            watched = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-m", "gpunn"]
            command = [*watched, "compare", SANITIZED, "--devices", f"cpu,{device}", "--precision", precision_name]
            found[tool] += _failures(command, left, {})
    return found


def _failures(command: Sequence[str], seconds: float, variables: dict[str, str]) -> list[str]:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"{' '.join(command)}: not finished after {seconds:.0f} s"]
    return (
        [] if done.returncode == 0 else [f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-TAIL:]}"]
    )
