"""What each layer of a step takes, from times of its pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from gpunn.backend.contract import Device
from gpunn.backend.work import Work
from gpunn.timing.network_step import INPUT, LOSS, OPTIMIZER, Direction, NetworkStep, Piece
from gpunn.timing.report import Ceilings, LayerTimes
from gpunn.timing.stopwatch import calls_of, times_of

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
        both = times_of([sum(sample[number] for number in numbers) for sample in self._samples])
        forward, backward = (
            1000 * fmean(self._seconds(sample, numbers, direction) for sample in middle_half(self._samples))
            for direction in ("forward", "backward")
        )
        share = None
        if ceilings is not None and forward + backward > 0:
            needed = (
                replace(piece.cost, flops=min(piece.cost.flops, _executed(piece, work)))
                for piece, work in zip(pieces, works, strict=True)
            )
            floor = sum(cost.floor_seconds(ceilings.flops, ceilings.bytes_per_second) for cost in needed)
            share = 1000 * floor / (forward + backward)
        return LayerTimes(
            name=name,
            kind=kind,
            forward_ms=forward,
            backward_ms=backward,
            flops=sum(piece.cost.flops for piece in pieces),
            executed_flops=sum(map(_executed, pieces, works)),
            bytes=sum(piece.cost.bytes for piece in pieces),
            algorithm=_algorithm(pieces, works),
            share_of_ceiling=share,
            both_ms=both,
        )

    def _seconds(self, sample: Sequence[float], numbers: Sequence[int], direction: Direction) -> float:
        return sum(sample[number] for number in numbers if self._step.pieces[number].direction == direction)


def middle_half(samples: Sequence[list[float]]) -> Sequence[list[float]]:
    """The samples that are neither among the fastest nor among the slowest quarter.

    Their means add up to a usual step. Medians of single pieces do not: whatever holds up a step, it holds up few of
    its pieces, so that each looks undisturbed by itself.
    """
    quarter = len(samples) // 4
    return sorted(samples, key=sum)[quarter : len(samples) - quarter]


def _executed(piece: Piece, work: Work) -> int:
    """Operations: more than the definition has where tiles are padded, fewer in Winograd's algorithm."""
    return piece.cost.flops if work.flops is None else work.flops


def _algorithm(pieces: Sequence[Piece], works: Sequence[Work]) -> str:
    """What ran forward and backward, once where it is the same."""
    named: dict[Direction, dict[str, None]] = {"forward": {}, "backward": {}}
    for piece, work in zip(pieces, works, strict=True):
        named[piece.direction][work.algorithm] = None
    return BETWEEN.join(dict.fromkeys(" + ".join(names) for names in named.values() if names))
