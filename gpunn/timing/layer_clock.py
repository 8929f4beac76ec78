"""What each layer of a step takes, from times of its pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from gpunn.backend.contract import Device
from gpunn.backend.work import Work
from gpunn.timing.layer_row import LayerRow, floor_of
from gpunn.timing.network_step import INPUT, LOSS, OPTIMIZER, Direction, NetworkStep, Piece
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import calls_of

#: Between what runs forward and what runs backward.
BETWEEN = " / "


class LayerClock:
    """Runs a step piece by piece, in its order, so that caches hold what they hold in a whole step.

    Args:
        step: what is run.
        device: where.
    """

    def __init__(self, step: NetworkStep, device: Device) -> None:
        self._step = step
        self._device = device
        self._works: list[Work] = []
        self._samples: list[list[float]] = []
        self._steps = 1

    def sample(self) -> None:
        """The mean of as many steps as a sample of the whole step has; two before the first one compile and tune."""
        if not self._works:
            self._works = [self._device.observe(piece.run) for piece in self._step.pieces]
            self._steps = calls_of(sum(self._seconds_of_pieces()))
        steps = [self._seconds_of_pieces() for _ in range(self._steps)]
        self._samples.append([fmean(piece) for piece in zip(*steps, strict=True)])

    def rows(self, ceilings: Ceilings | None) -> tuple[LayerTimes, ...]:
        """One for the input, for each layer that computes, for the loss and for the optimiser; none without samples."""
        if not self._samples:
            return ()
        pieces: dict[str, list[int]] = defaultdict(list)
        for number, piece in enumerate(self._step.pieces):
            pieces[piece.row].append(number)
        network = self._step.network
        kinds = {network.labels[node]: node.layer.kind for node in network.nodes if node is not network.image}
        order = [INPUT, *(name for name in kinds if name in pieces), LOSS, OPTIMIZER]
        return tuple(self._row(name, kinds.get(name, name), pieces[name], ceilings) for name in order)

    def _seconds_of_pieces(self) -> list[float]:
        return self._device.timed([piece.run for piece in self._step.pieces])

    def _row(self, name: str, kind: str, numbers: Sequence[int], ceilings: Ceilings | None) -> LayerTimes:
        pieces = [self._step.pieces[number] for number in numbers]
        works = [self._works[number] for number in numbers]
        executed = [_executed(piece, work) for piece, work in zip(pieces, works, strict=True)]
        row = LayerRow(
            name=name,
            kind=kind,
            forward=self._in_direction(numbers, "forward"),
            backward=self._in_direction(numbers, "backward"),
            costs=[piece.cost for piece in pieces],
            executed_flops=sum(executed),
            algorithm=_algorithm(pieces, works),
        )
        needed = [
            replace(piece.cost, flops=min(piece.cost.flops, flops))
            for piece, flops in zip(pieces, executed, strict=True)
        ]
        return row.times(self._samples, floor_of(needed, ceilings))

    def _in_direction(self, numbers: Sequence[int], direction: Direction) -> list[int]:
        return [number for number in numbers if self._step.pieces[number].direction == direction]


def _executed(piece: Piece, work: Work) -> int:
    """Operations: more than the definition has where tiles are padded, fewer in Winograd's algorithm."""
    return piece.cost.flops if work.flops is None else work.flops


def _algorithm(pieces: Sequence[Piece], works: Sequence[Work]) -> str:
    """What ran forward and backward, once where it is the same."""
    named: dict[Direction, dict[str, None]] = {"forward": {}, "backward": {}}
    for piece, work in zip(pieces, works, strict=True):
        named[piece.direction][work.algorithm] = None
    return BETWEEN.join(dict.fromkeys(" + ".join(names) for names in named.values() if names))
