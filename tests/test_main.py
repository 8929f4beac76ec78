"""The command line as `python -m gpunn`, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gpunn


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gpunn", *arguments], cwd=folder, capture_output=True, text=True)


def test_the_package_runs_the_command_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert gpunn.__version__ in ended.stdout


def test_its_status_is_that_of_the_command(tmp_path: Path) -> None:
    ended = run(tmp_path, "summary", "no-such-model")
    assert ended.returncode == 2
    assert "no-such-model" in ended.stderr
