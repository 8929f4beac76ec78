"""Writes launches down instead of running them."""

from __future__ import annotations

from gpunn.backend.cuda.launching.launch import CheckedLaunch


class LaunchLog:
    """An executor of CudaDevice that runs nothing."""

    def __init__(self) -> None:
        self._launches: list[CheckedLaunch] = []

    def execute(self, launch: CheckedLaunch) -> None:
        """Write a launch down."""
        self._launches.append(launch)

    def take(self) -> tuple[CheckedLaunch, ...]:
        """What was launched since the last time, in order."""
        taken = tuple(self._launches)
        self._launches.clear()
        return taken

    def close(self) -> None:
        """Forget everything."""
        self._launches.clear()
