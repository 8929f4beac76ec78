"""The choice among the kernels of a convolution."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from gpunn.backend.attributes import Arithmetic
from gpunn.backend.cuda.convolution_kernels.splits import BLOCKS_WANTED, plan_splits
from gpunn.backend.cuda.convolution_kernels.variants import BackwardFilterCall, Problem, largest_workspace, launch_best
from gpunn.backend.cuda.device import CudaDevice
from gpunn.errors import DeviceError
from gpunn.geometry import Conv2dGeometry
from tests.backend.emulator.devices import FAST, emulator

PROBLEM = Problem(Conv2dGeometry(1, 4, 4, 2, 3, 3, 3), np.dtype(np.float32), Arithmetic("float32"), 80)


@dataclass
class Recorded:
    """A variant that only notes that it was launched."""

    name: str
    price: float
    bytes_needed: int = 0
    oldest: int = 75
    accepts_all: bool = True
    launches: list[str] = field(default_factory=list)

    def serves(self, problem: Problem) -> bool:
        return problem.capability >= self.oldest

    def accepts(self, call: BackwardFilterCall) -> bool:
        return self.accepts_all

    def cost(self, problem: Problem) -> float:
        return self.price

    def workspace(self, problem: Problem) -> int:
        return self.bytes_needed

    def launch(self, device: CudaDevice, call: BackwardFilterCall) -> None:
        self.launches.append(self.name)


class LastTuner:
    """Takes the last candidate, after it has tried the others."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def choose(self, key: str, candidates: list[str], run: object) -> str:
        self.asked.append((key, list(candidates)))
        return candidates[-1]


def call(accumulate: bool = False, problem: Problem = PROBLEM) -> BackwardFilterCall:
    return BackwardFilterCall(problem, None, None, None, None, accumulate, None)


def test_the_tuner_is_asked_with_the_cheapest_first() -> None:
    launches: list[str] = []
    variants = [Recorded(name, price, launches=launches) for name, price in (("dear", 3), ("cheap", 1), ("fair", 2))]
    with emulator(FAST) as device:
        device.tuner = tuner = LastTuner()
        launch_best(device, "primitive", variants, call())
    assert [candidates for _, candidates in tuner.asked] == [["cheap", "fair", "dear"]]
    assert launches == ["dear"]


def test_gradients_that_are_added_up_are_not_tried_twice() -> None:
    launches: list[str] = []
    variants = [Recorded("dear", 2, launches=launches), Recorded("cheap", 1, launches=launches)]
    with emulator(FAST) as device:
        device.tuner = tuner = LastTuner()
        launch_best(device, "primitive", variants, call(accumulate=True))
    assert tuner.asked == []
    assert launches == ["cheap"]


def test_what_does_not_fit_is_no_candidate() -> None:
    launches: list[str] = []
    variants = [
        Recorded("newer", 1, oldest=80, launches=launches),
        Recorded("aligned", 2, accepts_all=False, launches=launches),
        Recorded("any", 3, launches=launches),
    ]
    with emulator(FAST) as device:
        launch_best(device, "primitive", variants, call(problem=replace(PROBLEM, capability=75)))
        launch_best(device, "primitive", variants, call())
        with pytest.raises(DeviceError, match=r"no kernel multiplies float32 .* compute capability 7\.5"):
            launch_best(device, "primitive", variants[:1], call(problem=replace(PROBLEM, capability=75)))
    assert launches == ["any", "newer"]


def test_keys_tell_shapes_types_and_candidates_apart() -> None:
    others = [
        PROBLEM,
        replace(PROBLEM, geometry=replace(PROBLEM.geometry, N=2)),
        replace(PROBLEM, arithmetic=Arithmetic("tf32")),
        replace(PROBLEM, dtype=np.dtype(np.float16)),
    ]
    variants = [Recorded("one", 1), Recorded("two", 2), Recorded("three", 3)]
    with emulator(FAST) as device:
        device.tuner = tuner = LastTuner()
        for problem in others:
            launch_best(device, "primitive", variants, call(problem=problem))
        launch_best(device, "primitive", variants[:2], call())
        launch_best(device, "another", variants, call())
    assert len({key for key, _ in tuner.asked}) == 6


def test_the_workspace_suffices_for_whichever_is_chosen() -> None:
    variants = [Recorded("small", 1, 10), Recorded("large", 2, 30), Recorded("newer", 3, 90, oldest=90)]
    assert largest_workspace(variants, PROBLEM) == 30


@pytest.mark.parametrize(
    ("tiles", "depth", "count", "slices_each"),
    [(1, 16, 1, 2), (1, 127, 1, 16), (1, 256, 2, 16), (64, 9216, 4, 288), (256, 9216, 1, 1152), (1, 260, 2, 17)],
)
def test_splits_cover_the_depth(tiles: int, depth: int, count: int, slices_each: int) -> None:
    splits = plan_splits(tiles, depth, 8)
    assert (splits.count, splits.slices_each) == (count, slices_each)
    assert (count - 1) * slices_each * 8 < depth <= count * slices_each * 8
    assert splits.count * tiles <= max(BLOCKS_WANTED, tiles)
