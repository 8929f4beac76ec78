"""`python -m gpunn.diagnosis`: the diagnosis where not even the command line loads."""

from __future__ import annotations

import sys

from gpunn.diagnosis.examination import examine
from gpunn.diagnosis.machine import this_machine
from gpunn.diagnosis.report import as_text, problems


def main() -> int:
    """Print the findings; the exit status is 1 when there is a problem."""
    findings = examine(this_machine())
    print(as_text(findings))
    return 1 if problems(findings) else 0


if __name__ == "__main__":
    sys.exit(main())
