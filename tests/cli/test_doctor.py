"""gpunn doctor as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.machine import Machine
from tests.cli.conftest import Gpunn

GPUNN = "import sys; from gpunn.cli import main; main()"

FINE = Finding("Python", "ok", "3.11.9")
TWO = Finding("CuPy", "problem", "2 packages at once", "pip uninstall -y a b")


def answers(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> list[str]:
    """Have the examination find these; gives the devices that were asked for."""
    devices: list[str] = []

    def examine(machine: Machine, device: str) -> list[Finding]:
        devices.append(device)
        return list(findings)

    monkeypatch.setattr("gpunn.diagnosis.examination.examine", examine)
    return devices


def test_all_is_well(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = answers(monkeypatch, FINE)
    result = gpunn("doctor")
    assert (result.status, result.out, result.error) == (0, "ok       Python  3.11.9\n\nall is well\n", "")
    assert devices == ["auto"]


def test_a_problem_is_status_1(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = answers(monkeypatch, FINE, TWO)
    result = gpunn("doctor", "--device", "cuda:1")
    assert result.status == 1
    assert "    $ pip uninstall -y a b\n" in result.out
    assert devices == ["cuda:1"]


def test_a_warning_is_status_0(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Finding("cores", "warning", "one"))
    assert gpunn("doctor").status == 0


def test_json(gpunn: Gpunn, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, TWO)
    result = gpunn("doctor", "--json")
    assert result.status == 1
    finding = {"subject": "CuPy", "status": "problem", "text": "2 packages at once", "remedy": "pip uninstall -y a b"}
    assert json.loads(result.out) == {"findings": [finding], "problems": 1, "warnings": 0}


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "emulator:check", ""])
def test_a_device_that_is_none(gpunn: Gpunn, device: str) -> None:
    result = gpunn("doctor", "--device", device)
    assert (result.status, result.out) == (2, "")
    assert f"--device {device!r}" in result.error


def alone(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """In a process of its own, with modules of a folder before all others."""
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    command = [sys.executable, "-c", GPUNN, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_this_machine(tmp_path: Path) -> None:
    ended = alone(tmp_path, "doctor", "--device", "cuda", "--json")
    found = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (1 if found["problems"] else 0, "")
    subjects = {finding["subject"] for finding in found["findings"]}
    assert {"Python", "gpunn", "BLAS", "cores", "GPU", "CuPy", "compiler", "emulator", "cache", "clock"} <= subjects
    assert not any("cannot be examined" in finding["text"] for finding in found["findings"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--nope"], "--nope"), (["--device"], "--device"), (["--device", "tpu"], "'tpu'"), (["extra"], "extra")],
)
def test_wrong_use_in_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = alone(tmp_path, "doctor", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_help_is_that_of_the_command_among_others(tmp_path: Path, gpunn: Gpunn) -> None:
    ended = alone(tmp_path, "doctor", "--help")
    assert ended.returncode == 0
    assert "--device" in ended.stdout
    assert "gpunn doctor --device cuda" in ended.stdout
    assert ended.stdout.split() == gpunn("doctor", "--help").out.split()


@pytest.mark.parametrize("breakage", ["raise ImportError('no umath')", "import os; os.abort()"])
def test_a_numpy_that_does_not_load_is_diagnosed(tmp_path: Path, breakage: str) -> None:
    (tmp_path / "numpy.py").write_text(breakage + "\n")
    ended = alone(tmp_path, "doctor", path=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")
    problem = next(line for line in ended.stdout.splitlines() if line.startswith("problem"))
    assert problem.split()[1] == "numpy"
    assert "does not load" in problem
    assert '--force-reinstall --no-deps "numpy==' in ended.stdout


def test_without_the_parser_of_commands(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('gone')\n")
    ended = alone(tmp_path, "doctor", path=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "does not load (ImportError: gone)" in ended.stdout


def test_other_commands_name_the_diagnosis_where_they_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('A long story.\\nno umath')\n")
    ended = alone(tmp_path, "models", path=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: gpunn cannot start (ImportError: no umath); gpunn doctor says what mends it\n"
