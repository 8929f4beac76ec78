"""What all commands share: help, wrong use in one line, exit statuses, and which modules are loaded."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer

import gpunn as package
from gpunn.cli import application
from tests.cli.conftest import Gpunn

COMMANDS = ("train", "evaluate", "predict", "summary", "models", "augmentations", "check-gradients")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_shows_an_example(gpunn: Gpunn, command: str, option: str) -> None:
    result = gpunn(command, option)
    assert (result.status, result.error) == (0, "")
    assert result.out.startswith(f"Usage: gpunn {command} ")
    assert re.search(rf"Example:\s+gpunn {command}\b", result.out)


def test_help_names_every_option_of_training(gpunn: Gpunn) -> None:
    text = gpunn("train", "--help").out
    options = (
        "data model device check precision epochs batch-size accumulate optimizer lr schedule seed patience out resume"
    )
    for option in (*options.split(), "config", "set"):
        assert f"--{option} " in text


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_gpunn_alone_lists_its_commands(gpunn: Gpunn, arguments: tuple[str, ...]) -> None:
    result = gpunn(*arguments)
    assert (result.status, result.error) == (0, "")
    for command in COMMANDS:
        assert f"  {command} " in result.out


def test_the_version(gpunn: Gpunn) -> None:
    result = gpunn("--version")
    assert (result.status, result.out) == (0, f"gpunn {package.__version__}\n")


WRONG: list[tuple[str, int, str]] = [
    ("--nope", 2, "--nope"),
    ("trian", 2, "'trian'. Did you mean 'train'? Try --help.\n"),
    ("evaluation", 2, "'evaluation'"),
    ("train --nope", 2, "--nope"),
    ("train extra", 2, "extra"),
    ("train --epochs", 2, "--epochs"),
    ("train --epochs x", 2, "--epochs"),
    ("train --data DATA --epochs 0", 2, "epochs is 0"),
    ("train --data DATA --epochs 1.5", 2, "--epochs"),
    ("train --data DATA --batch-size -1", 2, "batch_size is -1"),
    ("train --data DATA --accumulate 0", 2, "accumulate is 0"),
    ("train --data DATA --lr nan", 2, "learning_rate is nan"),
    ("train --data DATA --lr 0", 2, "learning_rate is 0.0"),
    ("train --data DATA --seed -1", 2, "seed is -1"),
    ("train --data DATA --patience 0", 2, "patience is 0"),
    ("train --data DATA --optimizer sdg", 2, "optimizer is 'sdg'"),
    ("train --data DATA --model lennet", 2, "did you mean 'lenet'"),
    ("train --data DATA --model lenet", 2, "conv2"),
    ("train --data DATA --model mlp --device gpu", 2, "'gpu'"),
    (
        "train --data DATA --model mlp --device cuda",
        4,
        "'cuda:0': CuPy, which runs kernels on a GPU, is not installed; pip install",
    ),
    ("train --data DATA --model mlp --device cuda:1", 4, "'cuda:1'"),
    ("train --data DATA --model mlp --precision bfloat16", 4, "bfloat16 is not computed on cpu"),
    ("train --data DATA --model mlp --device emulator --precision float64", 4, "float64 is not computed on emulator"),
    ("train --data DATA --model mlp --check", 2, "--check goes with --device emulator"),
    ("train --data DATA --model mlp --check --device cuda", 2, "not 'cuda'"),
    ("train --data DATA --model mlp --precision half", 2, "'half'"),
    ("train --data nowhere", 3, "nowhere"),
    ("train --data RUN/config.toml", 3, "config.toml"),
    ("train --data EMPTY", 3, "EMPTY"),
    ("train --data DATA --set momentum", 2, "key=value"),
    ("train --data DATA --set momentun=0.5", 2, "did you mean 'momentum'"),
    ("train --data DATA --set momentum=high", 2, "momentum is 'high'"),
    ("train --data DATA --config nowhere.toml", 2, "nowhere.toml"),
    ("train --data DATA --config DATA", 2, "not TOML"),
    ("train --data DATA --config EMPTY", 2, "directory"),
    ("train --data DATA --model mlp --out RUN", 2, "not empty"),
    ("train --data DATA --model mlp --out DATA", 2, "is a file"),
    ("train --allow-changed-data", 2, "--resume"),
    ("train --resume nowhere", 2, "nowhere"),
    ("train --resume EMPTY", 2, "config.toml"),
    ("train --resume DATA", 2, "stripes.npz"),
    ("train --resume RUN --epochs 1", 2, "begun with 2 epochs, and --epochs 1 is less; begin a new run"),
    ("train --resume RUN --epochs 3", 2, "'cosine' spans the 2 epochs that the run was begun with; begin a new run"),
    ("train --resume RUN --epochs 0", 2, "epochs is 0"),
    ("train --resume RUN --data DATA --set seed=1 --out x --config y --lr 0.1", 2, "--config, --set, --out"),
    ("train --resume RUN --device cuda", 4, "cuda"),
    ("evaluate", 2, "RUN"),
    ("evaluate nowhere", 2, "nowhere"),
    ("evaluate EMPTY", 2, "config.toml"),
    ("evaluate RUN --data nowhere", 3, "nowhere"),
    ("evaluate RUN --data EMPTY", 3, "EMPTY"),
    ("evaluate RUN --device cuda", 4, "cuda"),
    ("evaluate RUN --check", 2, "--device emulator"),
    ("evaluate RUN more", 2, "more"),
    ("predict RUN", 2, "IMAGE"),
    ("predict nowhere a.png", 2, "nowhere"),
    ("predict RUN nowhere.png", 3, "nowhere.png"),
    ("predict RUN DATA", 3, "stripes.npz"),
    ("predict RUN EMPTY", 3, "EMPTY"),
    ("predict RUN DATA --device cpu --check", 2, "--device emulator"),
    ("predict RUN DATA --top 0", 2, "--top"),
    ("summary", 2, "MODEL"),
    ("summary vgg99", 2, "vgg"),
    ("summary alexnet --input 224", 2, "224"),
    ("summary alexnet --input 224x224x-3", 2, "224x224x-3"),
    ("summary alexnet --input 5x5x3", 2, "conv1"),
    ("summary alexnet --classes 0", 2, "--classes"),
    ("summary alexnet --batch 0", 2, "--batch"),
    ("summary vgg16 --batch 2000000000", 2, "smaller batch"),
    ("check-gradients vgg99", 2, "vgg"),
    ("check-gradients mlp --samples 0", 2, "--samples"),
    ("models more", 2, "more"),
    ("augmentations more", 2, "more"),
    ("train --set augmentation.colour=0.3", 2, "`gpunn augmentations`"),
]


@pytest.mark.parametrize(("line", "status", "said"), WRONG, ids=[line for line, _, _ in WRONG])
def test_wrong_use_is_told_in_one_line_and_perhaps_a_list(
    gpunn: Gpunn,
    data: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    words = [word.replace("DATA", str(data)).replace("RUN", str(trained)) for word in line.split()]
    result = gpunn(*words)
    assert result.status == status
    assert result.error.startswith("error: ")
    assert all(line.startswith("  - ") for line in result.error.splitlines()[1:])
    assert said in result.error
    assert "Traceback" not in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["EMPTY"]


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, "interrupted"),
        (MemoryError(), 5, "smaller --batch-size"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
)
def test_what_a_command_may_end_with(
    gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    def failing() -> typer.Typer:
        app = typer.Typer()
        app.command()(raising(error))
        return app

    monkeypatch.setattr(application, "application", failing)
    result = gpunn()
    assert result.status == status
    assert said in result.error
    assert "Traceback" not in result.error


def test_a_closed_pipe_is_no_error() -> None:
    """gpunn summary vgg19 --plan | head -1"""
    command = [sys.executable, "-c", "from gpunn.cli import main; main()", "summary", "mlp", "--plan"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_matplotlib_s_remarks_about_its_cache_are_not_passed_on() -> None:
    command = [sys.executable, "-m", "gpunn", "time", "mlp", "--plot", "times.text"]
    environment = {**os.environ, "MPLCONFIGDIR": "/proc/nowhere"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("error: the chart 'times.text' ends in '.text'")


def modules_after(statement: str) -> set[str]:
    listing = f"{statement}; import sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_command_line_loads_no_heavy_module() -> None:
    loaded = modules_after("import gpunn.cli.application")
    assert loaded & {"cupy", "torch", "scipy", "matplotlib", "pandas", "mlxtend", "sklearn", "cuda"} == set()
    assert "gpunn" in loaded


def test_importing_gpunn_loads_nothing_but_itself() -> None:
    """Not even numpy: what a program does not use it does not wait for."""
    assert modules_after("import gpunn") - modules_after("pass") <= {"gpunn", "__future__"}
    assert np.__name__ not in modules_after("import gpunn")
