"""Writes launches down instead of running them."""

from __future__ import annotations

from gpunn.backend.cuda.launching.launch import CheckedLaunch
from gpunn.errors import DeviceError


class LaunchLog:
    """An executor of CudaDevice that runs nothing.

    Args:
        capability: compute capability of the GPU that is meant, such as 90.
    """

    def __init__(self, capability: int) -> None:
        self._capability = capability
        self._launches: list[CheckedLaunch] = []

    def execute(self, launch: CheckedLaunch) -> None:
        """Write a launch down.

        Raises:
            DeviceError: when the GPU is too old for the kernel.
        """
        lowest = int(launch.source.architectures[0])
        if self._capability < lowest:
            raise DeviceError(
                f"{launch.source.name} needs compute capability {lowest / 10} or later, and this device has "
                f"{self._capability / 10}: use --precision float32"
            )
        self._launches.append(launch)

    def take(self) -> tuple[CheckedLaunch, ...]:
        """What was launched since the last time, in order."""
        taken = tuple(self._launches)
        self._launches.clear()
        return taken

    def close(self) -> None:
        """Forget everything."""
        self._launches.clear()
