"""How a device computed something: written down by its primitives, but only while somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What was run.

    Attributes:
        algorithm: its name, such as "tapwise" or "simt 128"; names of kernels where there is but one way.
        flops: two for each multiply-add that was carried out, the padding of tiles included; None where that is what
            the primitive is defined to do.
    """

    algorithm: str
    flops: int | None


class Journal:
    """What a device's primitives say of themselves."""

    def __init__(self) -> None:
        self._chosen: list[tuple[str, int | None]] | None = None
        self._plain: list[str] = []

    def chose(self, algorithm: str, flops: Callable[[], int] | None = None) -> None:
        """One of several ways was chosen.

        Args:
            algorithm: its name.
            flops: counts what it carries out, where that is not what the primitive is defined to do.
        """
        if self._chosen is not None:
            self._chosen.append((algorithm, None if flops is None else flops()))

    def ran(self, kernel: str) -> None:
        """A kernel was launched; it is named where nothing was chosen."""
        if self._chosen is not None:
            self._plain.append(kernel)

    def observe(self, run: Callable[[], None], otherwise: str) -> Work:
        """Run something, and say how.

        Args:
            run: what to do.
            otherwise: the name of the algorithm where nothing is said.
        """
        self._chosen, self._plain = [], []
        try:
            run()
            chosen, plain = self._chosen, self._plain
        finally:
            self._chosen, self._plain = None, []
        names = dict.fromkeys([name for name, _ in chosen] or plain or [otherwise])
        counted = [flops for _, flops in chosen]
        known = counted and all(flops is not None for flops in counted)
        return Work(" + ".join(names), sum(flops or 0 for flops in counted) if known else None)
