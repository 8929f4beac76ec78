"""Draws time-alexnet.png, the chart of `gpunn time`, from the report in docs/pictures/runs/time-alexnet.json.

Usage: python docs/pictures/time_chart.py [FOLDER]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gpunn.timing.charts import draw_chart
from gpunn.timing.report import TimingReport

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    """Write the chart."""
    report = TimingReport.from_json(json.loads((HERE / "runs/time-alexnet.json").read_text()))
    draw_chart(report, folder / "time-alexnet.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
