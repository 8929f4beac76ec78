"""The page about `gpunn time`: the table that stands in it is that of the run that is kept."""

from __future__ import annotations

import json
from pathlib import Path

from gpunn.cli.time_tables import tables
from gpunn.timing.report import TimingReport

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_has_what_was_printed_of_the_run_that_is_kept() -> None:
    """After another run, its output goes into the page as its JSON goes into docs/pictures/runs."""
    report = TimingReport.from_json(json.loads((DOCS / "pictures/runs/time-alexnet.json").read_text()))
    assert f"```text\n{tables(report)}\n```" in (DOCS / "timing.md").read_text()
