"""python -m benchmarks.gpu: checks and times of one GPU, as a JSON file and a table."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.gpu import checks
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.environment import environment
from benchmarks.gpu.hottest import profile
from benchmarks.gpu.layers import layer_times
from benchmarks.gpu.network_step import NetworkStep, Task
from benchmarks.gpu.report import table
from benchmarks.gpu.steps import COMPILED, EAGER, step_times
from gpunn import backend
from gpunn.backend.contract import Device
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import GpunnError

RESULTS = Path(__file__).parents[1] / "results"
#: About what torch.compile takes to compile and tune one network.
COMPILING_SECONDS = 120
#: Of the whole time: how much the tests, the sanitizer and the profiler may take.
TESTS_SHARE, SANITIZER_SHARE, PROFILER_SHARE = 0.25, 0.2, 0.1


class Log:
    """A growing result, written after every stage; stages that begin too late are left out."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.found: dict[str, Any] = {}

    def share(self, fraction: float) -> float:
        """Seconds that a stage may take."""
        return min(self._seconds * fraction, self._end - time.monotonic())

    def stage(self, name: str, run: Callable[[], Any], seconds: float = 0.0) -> Any:
        """Run one stage that takes about so many seconds, and write what it gives, or how it failed."""
        if time.monotonic() + seconds > self._end:
            self.found[name] = {"left out": "the time was used up"}
            self._write()
            return None
        begun = time.monotonic()
        print(f"{name} ...", flush=True)
        result = None
        try:
            self.found[name] = result = run()
        except Exception:
            # One stage that breaks must not cost what the others find.
            self.found[name] = {"failed": traceback.format_exc()}
            print(self.found[name]["failed"], flush=True)
        self.found.setdefault("stage_seconds", {})[name] = round(time.monotonic() - begun, 1)
        self._write()
        return result

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.found, indent=1, default=asdict) + "\n")


def main() -> None:
    """Everything, in the order of its worth."""
    arguments = _arguments()
    device = cast("CudaDevice", backend.open(arguments.device))
    described = environment(arguments.device)
    name = re.sub(r"[^A-Za-z0-9]+", "-", (described["gpu"] or {"name": arguments.device})["name"]).strip("-").lower()
    path = arguments.out / f"gpu-{name}-{described['date'][:10]}.json"
    log = Log(path, arguments.minutes * 60)
    log.found["environment"] = described
    precisions = [known for known in device.precisions if known != "float64"]
    log.stage("primitives", lambda: checks.primitives(device))
    log.stage("networks", lambda: checks.networks(device, precisions, arguments.compared))
    tasks = [Task(network, arguments.batch) for network in arguments.networks]
    ceilings = log.stage("ceilings", _ceilings) if arguments.pytorch else None
    for task in tasks:
        for precision, way in EAGER.items():
            run = partial(step_times, device, task, precision, way if arguments.pytorch else None)
            log.stage(f"steps of {task.network} in {precision}", run)
    log.stage("large networks", lambda: checks.networks(device, precisions, arguments.compared_later))
    layers = {
        task: log.stage(f"layers of {task.network} in bfloat16", partial(_layers, device, task, "bfloat16", ceilings))
        for task in tasks
    }
    for task in tasks if arguments.pytorch else ():
        for precision, way in COMPILED.items():
            run = partial(step_times, device, task, precision, way)
            log.stage(f"compiled steps of {task.network} in {precision}", run, COMPILING_SECONDS)
    if arguments.tests:
        log.stage("tests", lambda: checks.tests(arguments.device, log.share(TESTS_SHARE)))
        watch = partial(checks.sanitizer, arguments.device, precisions)
        log.stage("sanitizer", lambda: watch(log.share(SANITIZER_SHARE)))
        for task, times in layers.items():
            look = partial(profile, arguments.device, task, "bfloat16", times or (), log.share(PROFILER_SHARE))
            log.stage(f"ncu on {task.network}", look)
    for task in tasks:
        log.stage(f"layers of {task.network} in float32", partial(_layers, device, task, "float32", ceilings))
    print(table(log.found))
    print(f"written to {path}")


def _layers(device: Device, task: Task, precision: str, ceilings: Ceilings | None) -> list[dict[str, Any]]:
    return layer_times(NetworkStep(task, device, precision), ceilings, with_peers=ceilings is not None)


def _ceilings() -> Ceilings:
    from benchmarks.gpu.pytorch_layers import ceilings

    return ceilings()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or emulator to try this program")
    parser.add_argument("--networks", nargs="+", default=["alexnet", "alexnet-2group", "vgg16"], help="to time")
    parser.add_argument("--compared", nargs="+", default=list(checks.COMPARED), help="to check call by call, first")
    parser.add_argument("--compared-later", nargs="*", default=list(checks.COMPARED_LATER), help="and after some times")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no stage begins")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--without-pytorch", dest="pytorch", action="store_false", help="time gpunn alone")
    parser.add_argument("--without-tests", dest="tests", action="store_false", help="leave out tests and sanitizer")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except GpunnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
