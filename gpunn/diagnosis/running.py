"""Programs and probes: what may hang or crash does so in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Seconds for a probe, on a machine that is busy with other things too.
PROBE_SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """A program that has ended, or was ended when its time was over: then its status is None."""

    status: int | None
    output: str
    error: str = ""


class ProbeError(Exception):
    """A probe that raised an error, crashed or hung; its text says which."""


def run(command: Sequence[str], seconds: float) -> Ended | None:
    """Run a program and wait for its end; None where there is no such program."""
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "")
    except OSError:
        return None
    return Ended(result.returncode, result.stdout, result.stderr)


def ask(probe: str, *arguments: str, seconds: float = PROBE_SECONDS) -> dict[str, Any]:
    """The answer of a module of gpunn.diagnosis.probes, in a process of its own.

    Raises:
        ProbeError: it raised an error, crashed, or took too long.
        OSError: no process can be started.
    """
    command = [sys.executable, "-m", "gpunn.diagnosis.probes", probe, *arguments]
    # What lies in the folder where the command was started must not stand in for what is installed.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {seconds:.0f} s") from None
    return parse_answer(result.returncode, result.stdout, result.stderr)


def parse_answer(status: int, output: bytes, error: bytes) -> dict[str, Any]:
    """What a probe's process left behind.

    Raises:
        ProbeError: that is no answer.
    """
    if status < 0:
        raise ProbeError(f"its process was killed by {_signal(-status)}")
    try:
        found = json.loads(output)
    except ValueError:
        raise ProbeError(_last_line(error.decode(errors="replace")) or f"it ended with status {status}") from None
    if "raised" in found:
        raise ProbeError(found["raised"])
    answer: dict[str, Any] = found["answer"]
    return answer


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
