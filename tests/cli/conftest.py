"""A command line that is called in this process, data to train on, and one trained run."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpunn.cli.application import run
from tests.training.runs import write_stripes


@dataclass(frozen=True)
class Result:
    """What a command line left behind."""

    status: int
    out: str
    error: str


Gpunn = Callable[..., Result]


def call(*arguments: object) -> Result:
    """Run a command line."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = run([str(argument) for argument in arguments])
    return Result(status, out.getvalue(), error.getvalue())


@pytest.fixture(scope="session")
def gpunn() -> Gpunn:
    """Runs a command line in this process."""
    return call


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 and 21 pictures of 12x12 in three classes."""
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes.npz")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("trained") / "run"
    result = call(
        *("train", "--data", data, "--model", "mlp", "--epochs", 2, "--batch-size", 16, "--lr", 0.05, "--out", out),
        *("--set", "augmentation=none"),
    )
    assert (result.status, result.error) == (0, "")
    return out


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had never been installed."""
    for name in {"matplotlib", *(loaded for loaded in sys.modules if loaded.startswith("matplotlib."))}:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes far longer than these runs."""
    monkeypatch.setattr("gpunn.training.curve_picture.draw_curves", lambda *_: None)
