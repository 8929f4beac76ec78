"""Kept results: a line of JSON for each comparison, in a file for each day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


def todays_file(document: Mapping[str, Any]) -> Path:
    """Where a result is kept, by its date."""
    return RESULTS / f"cpu-training-{document['date'][:10]}.jsonl"


def append(document: Mapping[str, Any], path: Path) -> None:
    """One more line."""
    with path.open("a") as file:
        file.write(json.dumps(document) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """All results of a file, the first one first."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]
