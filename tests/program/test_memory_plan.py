"""The memory plan against a simulation that asks, before every read, who wrote those bytes last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from gpunn.backend.contract import Device
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.models import model
from gpunn.program.call import Argument, Buffer, Call
from gpunn.program.memory_plan import PLACED, lives, plan_memory
from gpunn.program.program import ProgramPlan
from gpunn.program.specification import Mode
from tests.networks import NETWORKS, Trained
from tests.programs import plan, plan_without_rewrites, specify


def placed(arguments: Iterable[Argument]) -> list[Buffer]:
    """The buffers of some arguments that lie in the program's memory."""
    flat: list[Buffer] = []
    for argument in arguments:
        flat.extend(argument if isinstance(argument, tuple) else [argument] if argument else [])
    return [buffer for buffer in flat if buffer.kind in PLACED]


def read_by(call: Call) -> list[Buffer]:
    """What the call reads; a gradient that it adds to is read too."""
    reads = placed(call.reads.values())
    if call.settings.get("accumulate"):
        names = ("y", "gx", "gradient")
        reads += placed(call.writes[name] for name in names if name in call.writes)
    return reads


def simulate(found: ProgramPlan) -> None:
    """Run the plan on paper: a buffer is intact from when it is written until another is written over it."""
    places = {placement.buffer: placement for placement in found.memory.placements}
    intact: set[Buffer] = set()

    def write(buffer: Buffer) -> None:
        start, stop = places[buffer].offset, places[buffer].offset + places[buffer].size
        assert start % 256 == 0
        assert stop <= found.memory.size
        intact.difference_update(
            [
                other
                for other in intact
                if places[other].offset < stop and start < places[other].offset + places[other].size
            ]
        )
        intact.add(buffer)

    def require(buffer: Buffer, reader: str) -> None:
        assert buffer in intact, f"{reader} reads '{buffer.name}', which is not there"

    for buffer in places:
        if buffer.kind == "input":
            write(buffer)
    for call in found.calls:
        for buffer in read_by(call):
            require(buffer, f"{call.primitive} of {call.node}")
        for buffer in placed(call.writes.values()):
            write(buffer)
        for buffer in placed(call.writes.values()):
            require(buffer, f"after it has written, {call.primitive} of {call.node}")
    for buffer in places:
        if buffer.kind in ("kept", "input"):
            require(buffer, "the host")


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_nothing_that_is_still_needed_is_overwritten(cpu: Device, build: Callable[[], Trained], mode: Mode) -> None:
    trained = build()
    specification = specify(trained, 3, mode, gradients_of=(trained.network.image,), keep=trained.network.nodes[1:3])
    simulate(plan(trained, cpu, specification))
    simulate(plan_without_rewrites(trained, cpu, specification))


def classifier(name: str) -> Trained:
    """A model with its usual loss."""
    found = model(name)
    network = found.build(found.image, found.classes)
    return Trained(network, (Objective(network.outputs[0], SoftmaxCrossEntropy()),))


@pytest.mark.parametrize("name", ["alexnet-2group", "vgg16-bn", "zfnet"])
def test_large_networks_are_planned_without_overlap_and_in_less_memory(cpu: Device, name: str) -> None:
    trained = classifier(name)
    training = plan(trained, cpu, specify(trained, 2))
    simulate(training)
    as_emitted = plan_without_rewrites(trained, cpu, specify(trained, 2))
    assert training.memory.size <= as_emitted.memory.size
    assert training.memory.size < 0.6 * sum(placement.size for placement in as_emitted.memory.placements)
    evaluation = plan(trained, cpu, specify(trained, 2, "evaluate"))
    simulate(evaluation)
    assert evaluation.memory.size < training.memory.size
    for found in (training, evaluation):
        assert found.memory.size <= 1.05 * most_alive_at_once(found)


def most_alive_at_once(found: ProgramPlan) -> int:
    """Bytes that no plan can do without: of the call during which most are alive."""
    places = found.memory.placements
    return max(
        sum(place.size for place in places if place.life.first <= index <= place.life.last)
        for index in range(len(found.calls))
    )


def test_evaluation_of_a_chain_needs_its_two_largest_neighbours_only(cpu: Device) -> None:
    trained = classifier("vgg11-cifar")
    found = plan(trained, cpu, specify(trained, 4, "evaluate"))
    first_maps = 4 * 32 * 32 * 64 * 8
    small = 4 * 16 * 16 * 64 * 8
    assert first_maps + small <= found.memory.size <= first_maps + small + 16 * 1024 + 4 * 32 * 32 * 3 * 8


def test_the_simulation_notices_an_overlap(cpu: Device) -> None:
    trained = NETWORKS[0]()
    found = plan(trained, cpu, specify(trained, 3))
    squeezed = tuple(
        replace(place, offset=0 if index else place.offset) for index, place in enumerate(found.memory.placements)
    )
    broken = replace(found, memory=replace(found.memory, placements=squeezed))
    with pytest.raises(AssertionError, match="reads"):
        simulate(broken)


def test_lives_reach_from_the_first_to_the_last_use(cpu: Device) -> None:
    trained = NETWORKS[0]()
    calls = plan(trained, cpu, specify(trained, 3)).calls
    by_name = {buffer.name: life for buffer, life in lives(calls).items()}
    assert by_name["image"].first == -1
    assert by_name["image"].last == len(calls)
    assert by_name["linear2"].last == len(calls)
    # The derivative of the ReLU before the pooling is read from the pooled values.
    backward_data = next(i for i, call in enumerate(calls) if call.primitive == "convolution2d_backward_data")
    assert calls[backward_data].node == "conv2"
    assert by_name["pool1"].last == backward_data
    pooling = next(i for i, call in enumerate(calls) if call.primitive == "maximum_pool2d_forward")
    assert by_name["relu1"].last == pooling


def test_the_workspace_is_the_largest_that_any_call_asks_for(cpu: Device) -> None:
    trained = NETWORKS[0]()
    found = plan(trained, cpu, specify(trained, 3))
    wanted = [b.shape[0] for call in found.calls for b in call.buffers if b.kind == "workspace"]
    assert max(wanted) <= found.memory.workspace < max(wanted) + 256
    assert plan_memory(found.calls, cpu).total == found.memory.total == found.memory.size + found.memory.workspace
