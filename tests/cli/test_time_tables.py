"""What gpunn time prints of a report."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from gpunn.cli.time_tables import tables
from gpunn.timing.report import Load, TimingReport
from gpunn.timing.stopwatch import Times
from tests.timing.reports import CPU, GPU, device_of, layer, report_of

SLOW = device_of("cpu", layer("conv1", 1.0, 3.0, flops=10_000_000), layer("loss", 1.0))
FAST = device_of("cuda:0", layer("conv1", 0.5, 0.5, flops=10_000_000), layer("loss", 0.02), layer("optimizer", 0.98))
REPORT = TimingReport("tiny", 10, "float32", (SLOW, FAST), {"gpunn": "1.0"})


def cells(text: str, first: str, row: str) -> dict[str, str]:
    """A row of the table whose first title is `first`, by title; columns are as wide as their rules."""
    lines = text.splitlines()
    header = next(
        place
        for place, (line, rule) in enumerate(pairwise(lines))
        if line.startswith(f"{first}  ") and rule.startswith("---")
    )
    found = next(line for line in lines[header + 2 :] if line.split(" ")[0] == row)
    spans = [match.span() for match in re.finditer("-+", lines[header + 1])]
    return {lines[header][begin:end].strip(): found[begin:end].strip() for begin, end in spans}


def test_rates_are_operations_over_the_time_of_both_directions() -> None:
    row = cells(tables(REPORT), "cpu", "conv1")
    # 10 million operations in 4 ms, of a step of 5 ms.
    assert (row["forward ms"], row["backward ms"]) == ("1.000", "3.000")
    assert (row["GFLOP/s"], row["of the step"]) == ("2.5", "80.0%")
    assert "rows add up to 5.000 ms, 100.0% of the whole step of 5.000 ms (4.500 to 6.000)" in tables(REPORT)


def test_a_slow_rate_is_not_nothing() -> None:
    slow = device_of("emulator", layer("conv1", 50.0, flops=100_000))
    text = tables(TimingReport("tiny", 1, "float32", (slow,), {}))
    assert cells(text, "emulator", "conv1")["GFLOP/s"] == "0.002"


def test_devices_are_compared_layer_by_layer() -> None:
    text = tables(REPORT)
    row = cells(text, "forward + backward", "conv1")
    assert list(row) == ["forward + backward", "cpu ms", "cuda:0 ms", "cuda:0 times as fast"]
    assert list(row.values()) == ["conv1", "4.000", "1.000", "4.00"]
    assert cells(text, "forward + backward", "loss")["cuda:0 times as fast"] == "50.0"


def test_a_ratio_has_the_range_that_both_spreads_allow() -> None:
    # A step of 4.5 to 6 ms, against one of 1.8 to 2.4 ms.
    assert "cuda:0 trains 2.50 times as fast as cpu (1.88 to 3.33)" in tables(REPORT)
    slower = TimingReport("tiny", 10, "float32", (FAST, device_of("cpu", layer("conv1", 100.0))), {})
    assert "cpu trains 0.020 times as fast as cuda:0 (0.015 to 0.027)" in tables(slower)


def test_what_is_not_worth_comparing_is_not_compared() -> None:
    wide = replace(FAST, step_ms=Times(2, 0.5, 4))
    text = tables(TimingReport("tiny", 10, "float32", (SLOW, wide), {}))
    assert "times as fast" not in text
    assert cells(text, "forward + backward", "conv1")["cuda:0 ms"] == "1.000"
    assert text.splitlines()[-1].startswith("warning: samples of cuda:0 lie more than 3 times apart (training 0.5 to 4")
    busy = tables(replace(REPORT, load=Load(9.0, 8)))
    assert "times as fast" not in busy
    assert busy.splitlines()[-1].startswith("warning: the machine was busy when measuring began (load average 9.0")


@pytest.mark.parametrize(("step", "is_told"), [(5.5, False), (4.6, False), (5.7, True), (4.4, True)])
def test_rows_that_add_up_badly_say_why(step: float, is_told: bool) -> None:
    """They take 5 ms."""
    off = replace(SLOW, step_ms=Times(step, step, step))
    (line,) = [line for line in tables(replace(REPORT, devices=(off,))).splitlines() if line.startswith("rows add up")]
    told = "; something else held the machine up, or the step is too short to time piece by piece: take the run again"
    assert line.endswith(told) is is_told


@pytest.mark.parametrize("width", [80, 100, 132])
def test_tables_fit_a_terminal(width: int) -> None:
    text = tables(report_of("alexnet", 32, CPU, GPU), width)
    ruled = [line for line in text.splitlines() if line.startswith("---")]
    assert len(ruled) == 4
    assert all(len(line) <= width for line in ruled)
    row = cells(text, "cuda:0", "conv1")
    assert {"forward ms", "backward ms", "of the step", "of ceiling"} <= set(row)
    assert ("left out, for want of width: " in text) == (width < 132)


@pytest.mark.parametrize(
    ("threads", "cores", "words"),
    [
        (1, (3,), "cpu: a chip; 1 thread on core 3"),
        (2, (0, 4), "cpu: a chip; 2 threads on cores 0, 4"),
        (2, (), "cpu: a chip; 2 threads"),
    ],
)
def test_threads_and_the_cores_they_are_kept_on(threads: int, cores: tuple[int, ...], words: str) -> None:
    kept = replace(device_of("cpu", layer("conv1", 1.0)), threads=threads, cores=cores)
    assert words in tables(TimingReport("tiny", 1, "float32", (kept,), {})).splitlines()


def test_a_file_gets_every_column() -> None:
    text = tables(report_of("alexnet", 32, CPU, GPU))
    assert "left out" not in text
    assert "algorithm, forward / backward" in cells(text, "cuda:0", "conv1")
