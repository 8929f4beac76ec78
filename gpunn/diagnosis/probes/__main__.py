"""`python -m gpunn.diagnosis.probes NAME ARGUMENT ...`: a probe's answer as JSON on standard output."""

from __future__ import annotations

import importlib
import json
import os
import sys

from gpunn.diagnosis.reason import reason


def main() -> None:
    """Print {"answer": ...}, or {"raised": "TypeError: ..."}; what libraries print goes to standard error."""
    name, *arguments = sys.argv[1:]
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        result = {"answer": importlib.import_module(f"gpunn.diagnosis.probes.{name}").answer(*arguments)}
    except Exception as error:
        result = {"raised": reason(error)}
    with open(answers, "w") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main()
