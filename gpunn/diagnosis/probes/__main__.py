"""`python -m gpunn.diagnosis.probes NAME ARGUMENT ...`: a probe's answer as JSON on standard output."""

from __future__ import annotations

import importlib
import json
import os
import sys


def main() -> None:
    """Print {"answer": ...}, or {"raised": "TypeError: ..."}; what libraries print goes to standard error."""
    name, *arguments = sys.argv[1:]
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        result = {"answer": importlib.import_module(f"gpunn.diagnosis.probes.{name}").answer(*arguments)}
    except Exception as error:
        result = {"raised": describe(error)}
    with open(answers, "w") as stream:
        json.dump(result, stream)


def describe(error: Exception) -> str:
    """The error in one line: of a text of several, the last that says something. gpunn's own come without what to do,
    which the finding says."""
    from gpunn.errors import GpunnError

    lines = [line.strip(" =") for line in str(error).splitlines() if line.strip(" =")] or [""]
    if isinstance(error, GpunnError):
        return lines[0].partition(";")[0].rstrip(":")
    return f"{type(error).__name__}: {lines[-1]}"


if __name__ == "__main__":
    main()
