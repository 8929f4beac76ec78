"""When figures are worth comparing, and what is said where they are not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gpunn.timing.report import DeviceTimes, Load, TimingReport
from gpunn.timing.stopwatch import Times
from tests.timing.reports import device_of, layer

STEADY = device_of("cpu", layer("conv1", 1.0))
OTHER = replace(STEADY, device="cuda:0")
WIDE = replace(STEADY, device="pytorch:cpu", step_ms=Times(384, 33.94, 1234.5))


def reported(*devices: DeviceTimes, load: Load | None = None) -> TimingReport:
    return TimingReport("tiny", 10, "float32", devices, {}, load=load)


def test_steady_sides_are_compared_without_a_word() -> None:
    report = reported(STEADY, OTHER, load=Load(2.0, 2))
    assert report.warnings == ()
    assert report.are_comparable(STEADY, OTHER)


@pytest.mark.parametrize("field", ["step_ms", "inference_ms"])
@pytest.mark.parametrize(("high", "is_wide"), [(30.0, False), (30.1, True)])
def test_samples_that_spread_more_than_threefold(field: str, high: float, is_wide: bool) -> None:
    side = replace(OTHER, **{field: Times(20, 10, high)})
    report = reported(STEADY, side)
    assert report.are_comparable(STEADY, side) is not is_wide
    assert report.are_comparable(side, STEADY) is not is_wide
    assert bool(report.warnings) is is_wide


def test_only_the_side_that_spreads_is_named() -> None:
    report = reported(STEADY, WIDE, OTHER)
    (warning,) = report.warnings
    assert warning == (
        "samples of pytorch:cpu lie more than 3 times apart (training 33.9 to 1,234 ms): something else held the "
        "machine up, and these figures are not worth comparing"
    )
    assert report.are_comparable(STEADY, OTHER)


def test_a_machine_with_more_to_do_than_it_has_cores() -> None:
    report = reported(STEADY, OTHER, load=Load(5.25, 2))
    (warning,) = report.warnings
    assert warning == (
        "the machine was busy when measuring began (load average 5.2 on 2 cores): these figures are not worth comparing"
    )
    assert not report.are_comparable(STEADY, OTHER)


def test_warnings_are_in_the_json_and_come_back() -> None:
    report = reported(STEADY, WIDE, load=Load(5.25, 2))
    document = json.loads(json.dumps(report.as_json()))
    assert document["warnings"] == list(report.warnings)
    assert len(document["warnings"]) == 2
    assert TimingReport.from_json(document) == report


def test_a_document_of_former_times_has_neither_load_nor_algorithm() -> None:
    document = reported(STEADY).as_json()
    for name in ("load", "algorithm", "warnings"):
        del document[name]
    assert TimingReport.from_json(document) == reported(STEADY)
