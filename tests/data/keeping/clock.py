"""The clock of a file system."""

from __future__ import annotations

import time


def tick() -> None:
    """Wait for longer than it takes from one of its times to the next."""
    time.sleep(0.03)
