"""The benchmark that trains by several algorithms: how it judges, and that it trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import cpu_winograd_accuracy
from benchmarks.cpu_winograd_accuracy import Run, Setting, build, chosen, main, read, verdicts
from gpunn.backend.attributes import ConvolutionAlgorithm

SETTING = Setting("digits", images=128, epochs=1, batch=32, rate=0.05, threads=1)


def run(algorithm: ConvolutionAlgorithm, seed: int, accuracy: float) -> Run:
    return Run(SETTING, algorithm, seed, accuracy, 0.5, {"direct": 2}, 1000, 1.0, "2026-01-01", "machine", {})


@pytest.mark.parametrize(("last", "mean", "same"), [(0.91, 0.91, True), (0.97, 0.93, True), (0.79, 0.87, False)])
def test_means_are_the_same_within_the_spread_of_the_reference(last: float, mean: float, same: bool) -> None:
    runs = [run("direct", seed, accuracy) for seed, accuracy in enumerate((0.92, 0.90, 0.94))]
    runs += [run("auto", seed, accuracy) for seed, accuracy in enumerate((0.91, 0.91, last))]
    # Unpaired runs say nothing of a difference.
    runs.append(run("auto", 7, 0.0))
    direct, auto = verdicts(runs)
    assert (direct.algorithm, direct.difference, direct.is_same) == ("direct", 0, True)
    assert auto.accuracies == (0.91, 0.91, last)
    assert auto.mean == pytest.approx(mean)
    assert auto.difference == pytest.approx(mean - 0.92)
    assert auto.spread == pytest.approx(0.04)
    assert auto.is_same == same


def test_one_seed_is_no_spread() -> None:
    assert verdicts([run("direct", 0, 0.9), run("auto", 0, 0.9)]) == []


def test_winograd_runs_in_nearly_all_of_the_network() -> None:
    """Otherwise there is nothing to compare."""
    algorithms = chosen(build((28, 28, 1), 10), 128, "auto")
    assert len(algorithms) == 17
    assert sum(name.startswith("winograd") for name in algorithms) >= 14
    assert not any(name.startswith("winograd") for name in chosen(build((28, 28, 1), 10), 128, "direct"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--algorithms", "direct,fast"], "--algorithms: 'fast' is none of auto, direct, winograd"),
        (["--seeds", "0,one"], "--seeds '0,one' are no whole numbers such as 0,1,2"),
    ],
)
def test_what_names_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    with pytest.raises(SystemExit):
        main([*words, "--results", str(tmp_path / "runs.jsonl")])
    assert told in capsys.readouterr().err


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: .*nowhere"):
        main(["--data", str(tmp_path / "nowhere"), "--results", str(tmp_path / "runs.jsonl")])


def test_runs_are_kept_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cpu_winograd_accuracy, "FILTERS", (4, 4, 4))
    results = tmp_path / "runs.jsonl"
    options = [
        "--data",
        "digits",
        "--images",
        "128",
        "--epochs",
        "1",
        "--batch",
        "32",
        "--rate",
        "0.05",
        "--threads",
        "1",
    ]
    options += ["--algorithms", "direct,winograd", "--results", str(results)]
    main([*options, "--seeds", "0"])
    assert "mean" not in capsys.readouterr().out
    main([*options, "--seeds", "0,1"])
    told = capsys.readouterr().out
    assert "17 of 17 convolutions by Winograd's algorithm" in told
    assert "points from direct" in told
    found = read(results, SETTING)
    assert [(one.algorithm, one.seed) for one in found] == [(a, s) for s in (0, 1) for a in ("direct", "winograd")]
    assert all(0 < one.accuracy < 1 and one.validation_images == 1000 for one in found)
    # The same seed begins alike, whatever the algorithm; another seed does not.
    assert abs(found[0].loss - found[1].loss) < 0.01 < abs(found[0].loss - found[2].loss)
    assert read(results, replace(SETTING, epochs=2)) == []
