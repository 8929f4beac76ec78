"""Which kernel is chosen: the checkpoint's, the file's, the fastest, the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.graph import StreamRecorder
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.cuda.tune import Tuner, TuningFile, event_stopwatch
from gpunn.backend.emulator import open_emulator
from gpunn.cache import CacheFiles, CacheWarning
from gpunn.errors import DeviceError
from tests.backend.cuda.fake_cupy import Machine

KEY = "convolution2d_forward 8x14x14x64 3x3 float32"
CANDIDATES = ("wide", "narrow", "tall")


class Clock:
    """A stopwatch that knows how long things take, and runs them."""

    def __init__(self, milliseconds: dict[str, list[float]]) -> None:
        self.milliseconds = milliseconds
        self.running = ""
        self.runs: list[str] = []

    def run(self, name: str) -> None:
        self.running = name
        self.runs.append(name)

    def __call__(self, run: Callable[[], None]) -> float:
        run()
        times = self.milliseconds[self.running]
        return times.pop(0) if len(times) > 1 else times[0]


@pytest.fixture
def clock() -> Clock:
    return Clock({"wide": [3.0], "narrow": [2.0], "tall": [4.0]})


@pytest.fixture
def file(tmp_path: Path) -> TuningFile:
    return TuningFile(CacheFiles(tmp_path), "gpu.json")


def never(name: str) -> None:
    pytest.fail(f"{name} was launched")


def test_the_fastest_is_measured_once(clock: Clock) -> None:
    tuner = Tuner("sm_90", clock)
    assert tuner.choose(KEY, CANDIDATES, clock.run) == "narrow"
    assert set(clock.runs) == set(CANDIDATES)
    assert tuner.choose(KEY, CANDIDATES, never) == "narrow"
    assert tuner.plan() == {f"tuned/sm_90/{KEY}": "narrow"}
    assert tuner.table() == f"{KEY}  narrow  measured  (wide 3.000 ms, narrow 2.000 ms, tall 4.000 ms)"


def test_one_run_that_was_disturbed_does_not_decide(clock: Clock) -> None:
    clock.milliseconds["narrow"] = [2.0, 90.0, 2.0, 80.0, 2.0]
    clock.milliseconds["tall"] = [4.0, 0.1, 4.0]
    assert Tuner("sm_90", clock).choose(KEY, CANDIDATES, clock.run) == "narrow"


def test_without_a_stopwatch_the_first_is_taken() -> None:
    tuner = Tuner("emulator")
    assert tuner.choose(KEY, CANDIDATES, never) == "wide"
    assert tuner.table() == f"{KEY}  wide  first"


def test_a_single_candidate_is_not_measured(clock: Clock) -> None:
    assert Tuner("sm_90", clock).choose(KEY, ["only"], never) == "only"


def test_the_next_process_finds_the_choice(clock: Clock, file: TuningFile) -> None:
    Tuner("sm_90", clock, file).choose(KEY, CANDIDATES, clock.run)
    again = Tuner("sm_90", clock, file)
    assert again.choose(KEY, CANDIDATES, never) == "narrow"
    assert again.table().endswith("narrow  disk")
    assert Tuner("sm_80", clock, file).choose(KEY, CANDIDATES, clock.run) == "narrow"
    assert len(file.read()) == 2


def test_a_candidate_that_is_gone_is_chosen_anew(clock: Clock, file: TuningFile) -> None:
    file.add(f"tuned/sm_90/{KEY}", "forgotten")
    tuner = Tuner("sm_90", clock, file)
    tuner.adopt({f"tuned/sm_90/{KEY}": "forgotten too"})
    assert tuner.choose(KEY, CANDIDATES, clock.run) == "narrow"
    assert file.read() == {f"tuned/sm_90/{KEY}": "narrow"}


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe", b"[1, 2]", b"3", b'{"tuned/sm_90/x": 5}', b"[" * 100_000, b'{"a": {"b": "c"}}']
)
def test_a_damaged_file_is_replaced(clock: Clock, file: TuningFile, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "gpu.json").write_bytes(damage)
    assert Tuner("sm_90", clock, file).choose(KEY, CANDIDATES, clock.run) == "narrow"
    assert json.loads((tmp_path / "gpu.json").read_text()) == {f"tuned/sm_90/{KEY}": "narrow"}


def test_a_file_that_cannot_be_written(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tuner = Tuner("sm_90", clock, TuningFile(CacheFiles(tmp_path / "file"), "gpu.json"))
    with pytest.warns(CacheWarning):
        assert tuner.choose(KEY, CANDIDATES, clock.run) == "narrow"


def test_a_checkpoint_goes_before_all(clock: Clock, file: TuningFile) -> None:
    file.add(f"tuned/sm_90/{KEY}", "narrow")
    tuner = Tuner("sm_90", clock, file)
    assert tuner.choose(KEY, CANDIDATES, never) == "narrow"
    plan = {f"tuned/sm_90/{KEY}": "tall", "tuned/sm_80/other": "wide", "cpu_threads": 2, "tuned/sm_90/odd": 7}
    tuner.adopt(plan)
    assert tuner.choose(KEY, CANDIDATES, never) == "tall"
    assert tuner.plan() == {f"tuned/sm_90/{KEY}": "tall"}
    assert tuner.table() == f"{KEY}  tall  checkpoint"


def test_a_plan_survives_its_checkpoint(clock: Clock) -> None:
    first = Tuner("sm_90", clock)
    first.choose(KEY, CANDIDATES, clock.run)
    second = Tuner("sm_90", Clock({"wide": [1.0], "narrow": [2.0], "tall": [3.0]}))
    second.adopt(json.loads(json.dumps(first.plan())))
    assert second.choose(KEY, CANDIDATES, never) == "narrow"
    assert second.plan() == first.plan()


def test_events_measure_the_stream(gpu: Gpu, machine: Machine) -> None:
    """Work that was waiting before does not count."""
    machine.milliseconds = lambda launched: float(launched.kernel)
    with gpu.at_work("test"):
        module = gpu.cupy.cuda.function.Module()
        module.load(b"")
        functions = {name: module.get_function(name) for name in ("2.5", "100")}

    def start(name: str) -> None:
        functions[name]((1, 1, 1), (1, 1, 1), (), shared_mem=0, stream=gpu.stream)

    with gpu.at_work("test"):
        start("100")
    assert event_stopwatch(gpu, StreamRecorder(gpu))(lambda: start("2.5")) == 2.5


KERNELS = """
// Architectures: sm_75 and later
extern "C" __global__ void slow(float* y) {}
extern "C" __global__ void fast(float* y) {}
"""


def test_a_gpu_measures_and_keeps_in_the_plan(fake_device: CudaDevice, machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "kernels.cu"
    path.write_text(KERNELS)
    machine.kernel = lambda launched: None
    machine.milliseconds = lambda launched: {"slow": 5.0, "fast": 1.0}[launched.kernel]
    y = fake_device.view(fake_device.allocate(64), 0, (16,), np.dtype(np.float32), "plain")

    def run(name: str) -> None:
        fake_device.launcher.launch_from(KernelSource(path), name, Grid((1, 1, 1), (1, 1, 1)), {"y": y})

    assert fake_device.tuner.choose(KEY, ("slow", "fast"), run) == "fast"
    assert fake_device.thread_plan() == {f"tuned/sm_90/{KEY}": "fast"}
    (file,) = (tmp_path / "cache" / "tuning").iterdir()
    assert file.name.startswith("Fake-GPU-1-GiB-sm_90-gpunn-")
    with pytest.raises(DeviceError, match="a step that is being recorded times kernels"):
        fake_device.recorder.record(lambda: fake_device.tuner.choose("another", ("slow", "fast"), run))
    fake_device.adopt_plan({f"tuned/sm_90/{KEY}": "slow"})
    assert fake_device.tuner.choose(KEY, ("slow", "fast"), never) == "slow"


def test_the_emulator_takes_the_first_or_what_a_checkpoint_says() -> None:
    device = open_emulator()
    threads = device.thread_plan()
    assert device.tuner.choose(KEY, CANDIDATES, never) == "wide"
    plan = {**threads, f"tuned/emulator/{KEY}": "wide"}
    assert device.thread_plan() == plan
    device.adopt_plan(plan | {f"tuned/emulator/{KEY}": "tall"})
    assert device.tuner.choose(KEY, CANDIDATES, never) == "tall"
    device.close()
