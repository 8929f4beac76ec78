"""A run goes on to more epochs where they leave those that are over as they were."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gpunn.errors import CheckpointError, UsageError
from gpunn.training import new_run, resume_run, with_recipe
from gpunn.training.observer import Silence
from gpunn.training.run_folder import RunFolder
from tests.training.runs import Recorder, assert_same_run, records_of, state_of, write_stripes

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes.npz")


def train(out: Path, data: Path, epochs: int, schedule: str, **others: Any) -> Path:
    given = {"model": "mlp", "device": "cpu", "batch_size": 16, "threads": 1, "learning_rate": 0.02}
    configuration = with_recipe({**given, "data": str(data), "epochs": epochs, "schedule": schedule, **others})
    list(new_run(configuration, out, Silence()).fit())
    return out


def epochs_of(run: Path) -> Any:
    return RunFolder(run).read_configuration()["epochs"]


@pytest.mark.parametrize("schedule", ["constant", "step:1,0.5", "warmup:1.5,multi-step:1,3,0.1"])
def test_an_extended_run_is_the_longer_one(data: Path, tmp_path: Path, schedule: str) -> None:
    whole = train(tmp_path / "whole", data, 4, schedule)
    run = train(tmp_path / "run", data, 2, schedule)
    assert len(list(resume_run(run, Silence(), settings={"epochs": 4}).fit())) == 2
    assert records_of(run) == records_of(whole)
    assert state_of(run) == state_of(whole)
    assert epochs_of(run) == 4


def test_one_that_was_interrupted_is_extended_too(data: Path, tmp_path: Path) -> None:
    """Then its configuration speaks of the epochs there are to be: it goes on without the option, too."""
    whole = train(tmp_path / "whole", data, 4, "constant")
    configuration = RunFolder(whole).read_configuration()
    run = tmp_path / "run"
    trainer = new_run(with_recipe({**configuration, "epochs": 2}), run, Silence())
    next(trainer.fit())
    resume_run(run, Silence(), settings={"epochs": 4})
    assert len(list(resume_run(run, Silence()).fit())) == 3
    assert_same_run(run, whole)


@pytest.mark.parametrize("schedule", ["cosine", "cosine:0.001", "warmup:1,cosine"])
def test_a_schedule_that_spans_the_run_is_not_stretched(data: Path, tmp_path: Path, schedule: str) -> None:
    run = train(tmp_path / "run", data, 2, schedule)
    expected = rf"--epochs 3 would change .*'{schedule}' spans the 2 epochs .*--config {run}/config\.toml --epochs 3$"
    with pytest.raises(UsageError, match=expected):
        resume_run(run, Silence(), settings={"epochs": 3})
    configuration = RunFolder(run).read_configuration()
    RunFolder(run).write_configuration({**configuration, "epochs": 3})
    with pytest.raises(CheckpointError, match="epochs is 3, was 2"):
        resume_run(run, Silence())


def test_epochs_are_not_taken_away(data: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", data, 2, "constant")
    with pytest.raises(UsageError, match="begun with 2 epochs, and --epochs 1 is less; begin a new run"):
        resume_run(run, Silence(), settings={"epochs": 1})
    assert list(resume_run(run, Silence(), settings={"epochs": 2}).fit()) == []


def test_patience_that_is_used_up_ends_the_longer_run_too(data: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", data, 9, "constant", learning_rate=1e-30, patience=2)
    assert len(records_of(run)) == 3
    observer = Recorder()
    resume_run(run, observer)
    assert observer.notes[-1].startswith("this run has already ended; its patience was used up; begin a new run")
    with pytest.raises(UsageError, match=r"the patience of the run was used up after epoch 3; .*--patience N$"):
        resume_run(run, Silence(), settings={"epochs": 20})
    assert epochs_of(run) == 9


@pytest.mark.parametrize(
    ("schedule", "said"),
    [("constant", "go on with gpunn train --resume {run} --epochs N"), ("cosine", "--config {run}/config.toml")],
)
def test_a_run_that_has_ended_says_how_to_get_more(data: Path, tmp_path: Path, schedule: str, said: str) -> None:
    run = train(tmp_path / "run", data, 1, schedule)
    observer = Recorder()
    resume_run(run, observer)
    assert observer.notes[-1].startswith("this run has already ended; for more epochs, ")
    assert said.format(run=run) in observer.notes[-1]


def test_a_folder_that_a_shell_would_split_is_quoted(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    shutil.copytree(train(tmp_path / "run", data, 1, "constant"), run)
    observer = Recorder()
    resume_run(run, observer)
    assert f"--resume '{run}' --epochs N" in observer.notes[-1]
