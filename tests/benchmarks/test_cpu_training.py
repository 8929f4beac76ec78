"""The comparison with PyTorch on the CPU, tried without PyTorch."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cpu_training
from benchmarks.cpu import comparison, networks, peak_memory, results
from benchmarks.cpu.comparison import Extent, compare, in_words
from benchmarks.cpu.layers import beside, table
from benchmarks.cpu.others import others_running
from benchmarks.cpu.pairs import Pairs, Rounds
from benchmarks.cpu.peak_memory import PeakMemory
from benchmarks.cpu.task import Case
from gpunn import backend
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.timing import stopwatch
from gpunn.timing.network_step import NetworkStep
from gpunn.timing.opening import Sides
from gpunn.timing.report import LayerTimes
from gpunn.timing.stopwatch import Subject
from tests.timing.fakes import Clock, FakeContestant

ROOT = Path(__file__).resolve().parents[2]
#: What is promised to whoever reads the object.
PROMISED = {
    "network", "batch", "threads", "algorithm", "training_ratio", "inference_ratio", "training_ratio_spread",
    "inference_ratio_spread", "gpunn_images_per_second", "pytorch_images_per_second", "peak_memory_ratio",
    "training_ratio_quartiles", "loss_difference", "machine", "versions", "date",
}  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Samples are of one call, and take what the sides say."""
    clock = Clock()
    monkeypatch.setattr(stopwatch.time, "perf_counter", clock)
    monkeypatch.setattr(stopwatch, "SAMPLE_SECONDS", 0)
    monkeypatch.setattr(stopwatch, "SLOW_SECONDS", 0)
    return clock


def test_pairs_are_taken_in_turn_after_a_warm_up(clock: Clock) -> None:
    told: list[str] = []

    def side(name: str, seconds: list[float]) -> Subject:
        passing = clock.passing(seconds)

        def call() -> None:
            told.append(name)
            passing()

        return Subject(call, lambda: None)

    rounds = Rounds(fewest=3, most=9, seconds=0, settle=lambda: told.append("settle"), clock=clock)
    pairs = rounds.take(side("ours", [50, 50, 1, 2, 6]), side("theirs", [90, 90, 4, 2, 3]))
    assert pairs == Pairs((1, 2, 6), (4, 2, 3))
    ours, theirs = ["settle", "ours"], ["settle", "theirs"]
    assert told == [*ours, "ours", *theirs, "theirs", *ours, *theirs, *theirs, *ours, *ours, *theirs]


def test_rounds_go_on_for_some_seconds_and_end_with_the_most(clock: Clock) -> None:
    subject = Subject(clock.passing([1]), lambda: None)
    for most, seconds, taken in ((99, 10, 5), (4, 10, 4), (99, 0, 2)):
        rounds = Rounds(2, most, seconds, lambda: None, clock)
        assert len(rounds.take(subject, subject).ours) == taken


def test_a_ratio_is_of_medians_and_lies_within_the_spread_of_the_pairs() -> None:
    pairs = Pairs((1.0, 8.0, 3.0), (2.0, 2.0, 4.0))
    assert pairs.ratio == 3 / 2
    assert pairs.spread == (0.5, 4.0)
    assert pairs.quartiles == (0.625, 2.375)


def rows(*times: tuple[float, float]) -> tuple[LayerTimes, ...]:
    return tuple(
        LayerTimes(f"layer{place}", "conv", forward, backward, 0, 0, 0, "direct / tapwise", None)
        for place, (forward, backward) in enumerate(times)
    )


def test_layers_stand_beside_each_other() -> None:
    first, second = beside(rows((1.5, 4.5), (1, 0)), rows((2, 1), (0, 0)))
    assert (first.gpunn_backward_ms, first.pytorch_forward_ms, first.ratio) == (4.5, 2, 2.0)
    assert second.ratio is None
    lines = table([first, second]).splitlines()
    assert lines[2].split() == ["layer0", "1.50", "4.50", "2.00", "1.00", "2.00", "direct", "/", "tapwise"]
    assert lines[3].split() == ["layer1", "1.00", "0.00", "0.00", "0.00", "direct", "/", "tapwise"]


@pytest.fixture
def sides(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two contestants, and what was asked for."""
    ours = FakeContestant(clock, "cpu", [9, 9, 2], [9, 9, 0.5], name="a fast chip", mean_loss=2.002)
    theirs = FakeContestant(clock, "pytorch:cpu", [9, 9, 4], [9, 9, 1], mean_loss=2.0)
    asked: dict[str, Any] = {"idle": 0, "ours": ours}

    @contextmanager
    def open_sides(task: Any, devices: Any, threads: int, with_pytorch: bool) -> Iterator[Sides]:
        asked.update(task=task, devices=devices, threads=threads, with_pytorch=with_pytorch)
        yield Sides((ours, theirs), (0, 3))

    def peak(case: Case, side: str) -> PeakMemory:
        return PeakMemory(60, 80, 260) if side == "gpunn" else PeakMemory(250, 300, 650)

    monkeypatch.setattr(comparison, "open_sides", open_sides)
    monkeypatch.setattr(comparison, "peak_memory", peak)
    monkeypatch.setattr(comparison, "others_running", lambda: 0.25)
    monkeypatch.setattr(comparison, "available_cores", lambda: 2)
    monkeypatch.setattr(comparison, "end_idle_threads", lambda: asked.update(idle=asked["idle"] + 1))
    return asked


CASE = Case("lenet", 8, 2, "direct")


def test_the_object_has_what_was_promised(sides: dict[str, Any]) -> None:
    found = compare(CASE, Extent(seconds=0))
    document = json.loads(json.dumps(found.as_json()))
    assert set(document) >= PROMISED
    assert "layers" not in document
    assert (document["network"], document["batch"], document["threads"], document["algorithm"]) == (
        "lenet", 8, 2, "direct",
    )  # fmt: skip
    assert (document["training_ratio"], document["training_ratio_spread"]) == (0.5, [0.5, 0.5])
    assert document["inference_ratio"] == 0.5
    assert (document["gpunn_images_per_second"], document["pytorch_images_per_second"]) == (4.0, 2.0)
    assert document["gpunn_inference_images_per_second"] == 16.0
    assert document["training_ms"]["pytorch"] == {"median": 4000.0, "low": 4000.0, "high": 4000.0}
    assert (document["peak_memory_ratio"], document["peak_memory_growth_ratio"]) == (0.4, 0.5)
    assert document["peak_memory_bytes"]["gpunn"] == {"imports": 60, "built": 80, "peak": 260}
    assert document["loss_difference"] == pytest.approx(1e-3)
    assert (document["machine"], document["cores"]) == ("a fast chip", [0, 3])
    assert (document["others_running"], document["warnings"]) == (0.25, [])
    assert document["versions"] == {"cpu": "1.0", "pytorch:cpu": "1.0"}
    asked = sides["task"]
    assert (asked.model.name, asked.batch, asked.precision, asked.algorithm) == ("lenet", 8, "float32", "direct")
    assert (sides["devices"], sides["threads"], sides["with_pytorch"]) == (("cpu",), 2, True)
    text = in_words(found)
    assert "lenet, batch 8, 2 threads, direct: gpunn 4 and PyTorch 2 images/s" in text
    assert "training step 0.50 (0.50 to 0.50)" in text
    assert "ratio 0.40" in text


def test_layers_and_memory_are_measured_as_asked(sides: dict[str, Any]) -> None:
    found = compare(CASE, Extent(seconds=0, layers=True, memory=False))
    assert found.as_json()["layers"][0]["name"] == "conv1"
    assert (found.peak_memory_ratio, found.peak_memory_bytes) == (None, None)
    assert "memory" not in in_words(found)


def test_what_speaks_against_the_figures_is_told(
    sides: dict[str, Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "others_running", lambda: 1.25)
    sides["ours"].training = Subject(clock.passing([9, 9, 4, 4, 1, 40]), lambda: None)
    found = compare(CASE, Extent(seconds=0))
    busy, spread = found.warnings
    assert busy == "1.2 threads of other processes wanted to run before it measured: the machine was busy"
    assert spread == "the middle half of training's ratios lies from 1.00 to 10.00: the machine had moods"
    assert f"warning: {busy}\nwarning: {spread}" in in_words(found)


def test_more_threads_than_cores_are_told(sides: dict[str, Any]) -> None:
    (warning,) = compare(Case("lenet", 8, 3), Extent(seconds=0)).warnings
    assert warning == "3 threads of each side shared 2 cores: ask for no more than there are"


@pytest.mark.parametrize("words", [("--batch", "0"), ("--threads", "-1"), ("--batch", "many")])
def test_what_is_no_number_of_images_or_threads_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit):
        run_main(monkeypatch, *words)
    assert f"argument {words[0]}: {words[1]!r} is not a whole number of 1 or more" in capsys.readouterr().err


def test_threads_of_others_are_counted(tmp_path: Path) -> None:
    assert others_running(tmp_path, lambda _: None) is None
    (tmp_path / "proc").mkdir()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        running = 3 if len(waits) % 2 else 1
        (tmp_path / "proc/loadavg").write_text(f"9.00 9.00 9.00 {running}/412 4711\n")

    (tmp_path / "proc/loadavg").write_text("9.00 9.00 9.00 1/412 4711\n")
    assert others_running(tmp_path, wait) == 1.0
    assert sum(waits) == pytest.approx(1.0)


def test_idle_threads_end_before_each_sample_or_are_left(sides: dict[str, Any]) -> None:
    compare(CASE, Extent(seconds=0, idle_threads="left"))
    assert sides["idle"] == 0
    compare(CASE, Extent(seconds=0))
    assert sides["idle"] == 2 * 2 * (1 + comparison.FEWEST)


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["cpu_training.py", *words])
    cpu_training.main()


def test_the_program_prints_an_object_and_keeps_it(
    sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    words = ("--network", "lenet", "--batch", "8", "--algorithm", "direct", "--seconds", "0", "--keep")
    run_main(monkeypatch, *words, "--json")
    document = json.loads(capsys.readouterr().out)
    run_main(monkeypatch, *words)
    (file,) = tmp_path.iterdir()
    assert file.name == f"cpu-training-{document['date'][:10]}.jsonl"
    first, second = results.read(file)
    assert first == document
    assert second["training_ratio"] == 0.5
    assert "time ratio of a training step 0.50" in capsys.readouterr().out


def test_what_hinders_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UsageError("the comparison needs PyTorch")

    monkeypatch.setattr(comparison, "compare", refuse)
    with pytest.raises(SystemExit, match="error: the comparison needs PyTorch"):
        run_main(monkeypatch)


def test_it_runs_as_a_script_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks/cpu_training.py", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    for option in ("--network", "--batch", "--threads", "--algorithm", "--layers", "--json"):
        assert option in told
    assert all(name in told for name in ("vgg16", "alexnet", "vgg11-bn-cifar", "lenet", "resnet-like"))


def test_the_networks_that_are_no_models_are_what_they_are_called() -> None:
    built = {name: chosen.build(chosen.image, chosen.classes) for name, chosen in networks.OTHERS.items()}
    # ResNet-18 of He et al. (2016) as libraries have it: 11,689,512 parameters, 1.82 G multiply-adds.
    assert built["resnet-like"].parameter_count == 11_689_512
    assert built["resnet-like"].flops / 2e9 == pytest.approx(1.82, abs=0.02)
    layers = {name: [row for row in network.summary() if row.type == "conv"] for name, network in built.items()}
    assert len([row for row in layers["resnet-like-cifar"] if row.flops]) == 19 + 2  # two projections
    by_size = [node for node in built["bottleneck"].nodes if node.layer.kind == "conv"]
    assert sum(node.layer.size == (1, 1) for node in by_size) > 2 * sum(node.layer.size == (3, 3) for node in by_size)
    assert all(row.output[-1] % 2 for row in layers["odd"])


@pytest.mark.parametrize("name", ["resnet-like-cifar", "odd"])
def test_the_networks_learn(name: str) -> None:
    device = backend.open("cpu", 1)
    step = NetworkStep(Case(name, 2, 1).task, device)
    step.train()
    assert 0 < step.loss() < 1e3
    assert not step.is_void()
    device.close()


def test_peak_memory_is_that_of_a_process_of_its_own() -> None:
    found = peak_memory.peak_memory(Case("lenet", 64, 1), "gpunn")
    assert 2**23 < found.imports < found.built < found.peak < 2**28
    # Outputs of the convolutions and their gradients, at least.
    assert found.peak - found.built > 4 * 64 * (24 * 24 * 20 + 8 * 8 * 50)
    assert found.growth == found.peak - found.imports


def test_what_a_child_says_of_its_end_is_told() -> None:
    with pytest.raises(DeviceError, match=r"(?s)peak memory of gpunn cannot be measured: .*'no-such-network'"):
        peak_memory.peak_memory(Case("no-such-network", 1, 1), "gpunn")


def test_a_child_that_the_system_ends_is_told_to_need_less(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.CompletedProcess([], -signal.SIGKILL, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: ended)
    with pytest.raises(MemoryExhaustedError, match="use a smaller --batch"):
        peak_memory.peak_memory(Case("vgg16", 512, 1), "pytorch")
