"""Findings as a person reads them, and as a program does."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from gpunn.diagnosis.finding import Finding, Status

_COLOURS: dict[Status, str] = {"ok": "\x1b[32m", "warning": "\x1b[33m", "problem": "\x1b[31m"}
_PLAIN = "\x1b[0m"
_GAP = "  "


def problems(findings: Sequence[Finding]) -> int:
    """How many."""
    return sum(finding.status == "problem" for finding in findings)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """For json.dumps."""
    warnings = sum(finding.status == "warning" for finding in findings)
    return {"findings": [asdict(finding) for finding in findings], "problems": problems(findings), "warnings": warnings}


def as_text(findings: Sequence[Finding], *, colour: bool = False, width: int | None = None) -> str:
    """A line for each: status, subject, text; below it the command that mends it; and how many of each kind.

    Args:
        width: of the terminal; None breaks no line. Commands are never broken.
    """
    status_width = max(len(status) for status in _COLOURS)
    subject_width = max((len(finding.subject) for finding in findings), default=0)
    indent = " " * (status_width + subject_width + 2 * len(_GAP))
    lines = []
    for finding in findings:
        status = finding.status.ljust(status_width)
        shown = f"{_COLOURS[finding.status]}{status}{_PLAIN}" if colour else status
        first, *rest = _wrapped(finding.text, width and width - len(indent))
        lines.append(f"{shown}{_GAP}{finding.subject.ljust(subject_width)}{_GAP}{first}")
        lines += [indent + line for line in rest]
        if finding.remedy is not None:
            lines.append(f"{indent}$ {finding.remedy}")
    return "\n".join([*lines, "", _summary(findings)])


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """On a terminal that has colours, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _wrapped(text: str, width: int | None) -> list[str]:
    line = " ".join(text.split())
    if width is None or width < 20:
        return [line]
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(findings: Sequence[Finding]) -> str:
    found = as_json(findings)
    if not found["problems"] and not found["warnings"]:
        return "all is well"
    return f"{_counted(found['problems'], 'problem')}, {_counted(found['warnings'], 'warning')}"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
