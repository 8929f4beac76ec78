"""The folder of a run: always a fresh one, and its configuration comes back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from gpunn.errors import CheckpointError, UsageError
from gpunn.training.run_folder import RunFolder, read_toml

NOON = datetime(2031, 5, 4, 12, 0, 7)


def test_names_carry_date_and_time_and_never_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [RunFolder.create(None, "lenet on digits/", now=NOON) for _ in range(3)]
    assert [str(run.path) for run in runs] == [
        "runs/lenet-on-digits-20310504-120007",
        "runs/lenet-on-digits-20310504-120007-2",
        "runs/lenet-on-digits-20310504-120007-3",
    ]
    assert all(run.path.is_dir() for run in runs)


@pytest.mark.parametrize("name", ["", "../..", "///", "."])
def test_a_name_never_leaves_the_folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    RunFolder.create(None, name, now=NOON)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run-20310504-120007"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_given_folder_is_used_as_it_is(tmp_path: Path, exists: bool) -> None:
    out = tmp_path / "deep" / "down"
    if exists:
        out.mkdir(parents=True)
    assert RunFolder.create(out, "lenet").path == out
    assert out.is_dir()


def test_a_folder_in_use_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(UsageError, match=rf"is not empty; give --out a new folder.*--resume {tmp_path}"):
        RunFolder.create(tmp_path, "lenet")
    assert (tmp_path / "precious").read_text() == "data"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("data")
    with pytest.raises(UsageError, match="is a file"):
        RunFolder.create(tmp_path / "file", "lenet")
    with pytest.raises(UsageError, match="Not a directory"):
        RunFolder.create(tmp_path / "file" / "run", "lenet")


def test_every_file_of_a_run_has_its_name(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    paths = (run.configuration, run.metrics_lines, run.metrics_table, run.curves, run.checkpoints)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "config.toml",
        "metrics.jsonl",
        "metrics.csv",
        "curves.png",
        "checkpoints",
    ]


def test_the_configuration_comes_back(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "lenet")
    run.write_configuration({"model": "lenet", "lr": 0.1, "patience": None, "data": {"classes": ["a", "ü"]}})
    assert RunFolder.open(run.path).read_configuration() == {
        "model": "lenet",
        "lr": 0.1,
        "data": {"classes": ["a", "ü"]},
    }


def test_a_configuration_without_a_form_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "lenet")
    run.write_configuration({"model": "lenet"})
    for value in ("folder \udcff", {1, 2}):
        with pytest.raises(UsageError, match="the configuration cannot be written"):
            run.write_configuration({"model": value})
    assert run.read_configuration() == {"model": "lenet"}


def test_a_configuration_that_cannot_be_written_is_surfaced(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.toml.*its folder is not there"):
        RunFolder(tmp_path / "gone").write_configuration({"model": "lenet"})


def test_opening_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"it has no config\.toml"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"model =\n", "at line 1"), (b"\xff", "is not TOML"), (b"a = 1\na = 2\n", "at line 2")]
)
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        read_toml(path)
    with pytest.raises(UsageError, match="No such file"):
        read_toml(tmp_path / "nothing.toml")
