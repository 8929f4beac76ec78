"""Uploads from page-locked memory: one copy by the GPU itself, beside its kernels, and waits where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from gpunn.backend.contract import Array, nothing
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.gpu.cupy_memory import LARGE, CupyMemory
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.errors import DeviceError
from tests.backend.cuda.fake_cupy import DEVICE_TO_DEVICE, HOST_TO_DEVICE, OUT_OF_MEMORY, Machine
from tests.backend.cuda.fake_streams import CUDARuntimeError, Event, Stream

Host: TypeAlias = np.ndarray[Any, Any]

SLOTS = 3
STEPS = 10
UINT8 = np.dtype(np.uint8)
#: The streams in the order that they are made.
KERNELS, COPIES = 0, 1
#: A GPU that copies as early as it may, one that computes so, one that does both as late as it may.
SCHEDULES = ({COPIES}, {KERNELS}, set[int]())
each_schedule = pytest.mark.parametrize("eager", SCHEDULES, ids=["copies early", "kernels early", "late"])


@pytest.fixture
def memory(gpu: Gpu) -> CupyMemory:
    return CupyMemory(gpu)


def array_of(memory: CupyMemory, size: int = LARGE) -> Array:
    return memory.view(memory.allocate(size), 0, (size,), UINT8)


def pinned(memory: CupyMemory, *shape: int) -> Host:
    ring = np.zeros(shape, np.uint8)
    assert memory.pin(ring) is not nothing
    return ring


def batch(step: int, size: int = LARGE) -> Host:
    """Unlike that of every other step in each byte."""
    return ((np.arange(size) + 7 * step) % 251).astype(np.uint8)


def train(memory: CupyMemory, steps: int = STEPS, sizes: Callable[[int], int] = lambda step: LARGE) -> list[Host]:
    """What each step finds in an input that all steps share; the batches come through a ring, as a loader's do."""
    largest = max(map(sizes, range(steps)))
    ring = pinned(memory, SLOTS, largest)
    wait = [nothing] * SLOTS
    place = array_of(memory, largest)
    found = [array_of(memory, sizes(step)) for step in range(steps)]
    for step in range(steps):
        slot, size = step % SLOTS, sizes(step)
        wait[slot]()
        ring[slot, :size] = batch(step, size)
        memory.upload(place[:size], ring[slot, :size])
        wait[slot] = memory.copied()
        memory.copy(found[step], place[:size])
    return [memory.download(array) for array in found]


def is_right(found: list[Host]) -> bool:
    return all(values.tobytes() == batch(step, len(values)).tobytes() for step, values in enumerate(found))


@each_schedule
def test_every_step_finds_its_batch(memory: CupyMemory, machine: Machine, eager: set[int]) -> None:
    machine.eager = eager
    assert is_right(train(memory))
    uploads = [copy for copy in machine.copies if copy.kind == HOST_TO_DEVICE]
    assert [(copy.size, copy.stream) for copy in uploads] == [(LARGE, COPIES)] * STEPS
    (ring,) = machine.registered
    assert [copy.source - ring for copy in uploads] == [step % SLOTS * LARGE for step in range(STEPS)]
    assert machine.pinned == [], "the host copied, too"


@pytest.mark.parametrize("forgetful", ["kernels", "copies", "host"])
def test_no_wait_is_needless(gpu: Gpu, machine: Machine, monkeypatch: pytest.MonkeyPatch, forgetful: str) -> None:
    """Of the kernels for the copy, of the copy for the kernels before, and of the host before it writes again."""
    wait_event = Stream.wait_event

    def wait(stream: Stream, event: Event) -> None:
        if stream.number != {"kernels": KERNELS, "copies": COPIES}.get(forgetful):
            wait_event(stream, event)

    monkeypatch.setattr(Stream, "wait_event", wait)
    if forgetful == "host":
        monkeypatch.setattr(Event, "synchronize", nothing_of)
    outcomes = []
    for eager in SCHEDULES:
        machine.eager = eager
        machine.streams[KERNELS + 1 :] = []
        outcomes.append(is_right(train(CupyMemory(gpu))))
        machine.registered.clear()
    assert not all(outcomes)


def nothing_of(event: Event) -> None:
    """A wait that is none."""


def test_a_batch_is_copied_while_kernels_compute(memory: CupyMemory, machine: Machine) -> None:
    """Two batches are on the GPU before the first of the steps that read them has begun."""
    ring = pinned(memory, SLOTS, LARGE)
    place = array_of(memory)
    memory.synchronize()
    machine.eager = {COPIES}
    for slot in ring:
        memory.upload(place, slot)
    assert [copy.kind for copy in machine.copies] == [HOST_TO_DEVICE] * 2
    memory.synchronize()
    kinds = [copy.kind for copy in machine.copies[2:]]
    assert kinds == [DEVICE_TO_DEVICE, HOST_TO_DEVICE, DEVICE_TO_DEVICE, DEVICE_TO_DEVICE]


def test_the_host_waits_for_the_batch_in_question_only(memory: CupyMemory, machine: Machine) -> None:
    ring = pinned(memory, SLOTS, LARGE)
    place = array_of(memory)
    memory.synchronize()
    memory.upload(place, ring[0])
    first = memory.copied()
    memory.upload(place, ring[1])
    assert machine.copies == []
    first()
    assert [copy.source for copy in machine.copies] == [ring[0].ctypes.data]
    memory.copied()()
    assert [copy.source for copy in machine.copies] == [row.ctypes.data for row in ring[:2]]


def test_waits_are_equal_until_something_is_to_be_waited_for(memory: CupyMemory) -> None:
    ring = pinned(memory, SLOTS, LARGE)
    place = array_of(memory)
    assert memory.copied() == nothing
    memory.upload(place, ring[0])
    first = memory.copied()
    memory.upload(place, batch(1))
    memory.upload(place[:8], ring[1, :8])
    assert memory.copied() == first
    memory.upload(place, ring[1])
    assert memory.copied() != first


def test_large_targets_beside_the_images_are_waited_for_as_well(memory: CupyMemory) -> None:
    """One wait after several uploads is for all of them."""
    ring = pinned(memory, SLOTS, LARGE)
    places = [array_of(memory) for _ in ring]
    for step, slot in enumerate(ring):
        slot[:] = batch(step)
        memory.upload(places[step], slot)
    memory.copied()()
    ring[:] = 0
    assert is_right([memory.download(place) for place in places])


@each_schedule
def test_batches_of_any_size(memory: CupyMemory, machine: Machine, eager: set[int]) -> None:
    """Small ones go through the host's own copies; larger ones than before need other buffers."""
    machine.eager = eager
    sizes = (LARGE, LARGE - 1, 3 * LARGE, 2 * LARGE, 100, 4 * LARGE, 4 * LARGE, LARGE, 5 * LARGE, LARGE)
    before = machine.used
    assert is_right(train(memory, sizes=sizes.__getitem__))
    assert machine.used == before + 2 * 5 * LARGE


@each_schedule
@pytest.mark.parametrize(("room", "passing"), [(0, 0), (1, 0), (2, 4), (3, 4), (4, 10)])
def test_without_room_for_buffers_copies_go_to_their_place_at_once(
    memory: CupyMemory, machine: Machine, eager: set[int], room: int, passing: int
) -> None:
    """There is room for so many small buffers, and so many copies pass through some."""
    machine.eager = eager
    sizes = (*[LARGE] * 4, *[2 * LARGE] * 6)
    machine.memory = sum(sizes) + 2 * LARGE + room * LARGE
    assert is_right(train(memory, sizes=sizes.__getitem__))
    uploads = [copy for copy in machine.copies if copy.kind == HOST_TO_DEVICE]
    assert [copy.stream for copy in uploads] == [COPIES] * passing + [KERNELS] * (STEPS - passing)
    assert machine.pinned == []
    assert machine.used == (4 * LARGE if passing == STEPS else 0)


def test_what_cannot_be_copied_as_it_lies_may_change_at_once(memory: CupyMemory) -> None:
    ring = pinned(memory, 4 * LARGE)
    place = array_of(memory)
    numbers = memory.view(memory.allocate(LARGE), 0, (LARGE // 4,), np.dtype(np.float32))
    wide = memory.view(memory.allocate(2 * LARGE), 0, (2, LARGE), UINT8)
    given: list[tuple[Array, Host]] = [
        (place, ring[::4]),
        (numbers, ring[: 2 * LARGE].view(np.float64)),
        (wide[:, : LARGE // 2], ring[:LARGE].reshape(2, LARGE // 2)),
        (place[:1000], ring[:1000]),
        (place, np.zeros(LARGE, np.uint8)),
    ]
    for array, host in given:
        host[:] = 7
        memory.upload(array, host)
        host[:] = 8
        assert (memory.download(array) == 7).all()
    assert memory.copied() == nothing


class TestPinning:
    def test_the_memory_stays_locked_until_it_has_been_read(self, memory: CupyMemory, machine: Machine) -> None:
        ring = batch(1)
        unpin = memory.pin(ring)
        assert machine.registered == {ring.ctypes.data: LARGE}
        place = array_of(memory)
        memory.upload(place, ring)
        unpin()
        assert machine.registered == {}
        ring[:] = 0
        assert is_right([batch(0), memory.download(place)])
        memory.upload(place, ring)
        ring[:] = 1
        assert not memory.download(place).any()

    def test_it_is_undone_once(self, memory: CupyMemory, machine: Machine) -> None:
        rings = np.zeros((2, LARGE), np.uint8)
        undo = [memory.pin(ring) for ring in rings]
        undo[0]()
        undo[0]()
        assert list(machine.registered) == [rings[1].ctypes.data]
        machine.failing["hostUnregister"] = AssertionError("it is not locked")
        undo[0]()

    def test_areas_are_told_from_what_lies_around_them(self, memory: CupyMemory) -> None:
        """What lies across an edge is not locked, either."""
        rows = np.zeros((4, LARGE), np.uint8)
        undo = [memory.pin(row) for row in rows[1:3]]
        place, whole = array_of(memory), rows.reshape(-1)
        for start in (0, 1, LARGE - 1, LARGE + 1, 2 * LARGE + 1, 3 * LARGE):
            host = whole[start : start + LARGE]
            host[:] = 7
            memory.upload(place, host)
            host[:] = 8
            assert (memory.download(place) == 7).all()
        assert memory.copied() == nothing
        undo[1]()
        memory.upload(place, rows[2])
        assert memory.copied() == nothing
        memory.upload(place, rows[1])
        assert memory.copied() != nothing

    @pytest.mark.parametrize("status", [OUT_OF_MEMORY, 304, 801])
    def test_where_it_is_refused_uploads_are_as_without_it(
        self, memory: CupyMemory, machine: Machine, status: int
    ) -> None:
        machine.failing["hostRegister"] = CUDARuntimeError(status)
        ring = batch(1)
        unpin = memory.pin(ring)
        place = array_of(memory)
        memory.upload(place, ring)
        assert memory.copied() == nothing
        ring[:] = 0
        assert is_right([batch(0), memory.download(place)])
        unpin()

    def test_memory_that_is_locked_already_keeps_its_first_lock(self, memory: CupyMemory, machine: Machine) -> None:
        ring = np.zeros(LARGE, np.uint8)
        first, second = memory.pin(ring), memory.pin(ring[8:])
        second()
        assert list(machine.registered) == [ring.ctypes.data]
        first()
        assert machine.registered == {}

    def test_nothing_can_be_undone_as_well(self, memory: CupyMemory) -> None:
        memory.pin(np.zeros(0, np.uint8))()


def test_a_gpu_that_was_lost_is_met_by_the_next_upload_and_not_by_who_waits(
    memory: CupyMemory, machine: Machine
) -> None:
    ring = np.zeros(LARGE, np.uint8)
    unpin = memory.pin(ring)
    place = array_of(memory)
    memory.upload(place, ring)
    machine.failing["synchronize"] = machine.failing["hostUnregister"] = CUDARuntimeError(46)
    memory.copied()()
    unpin()
    with pytest.raises(DeviceError, match="cuda:0 was lost"):
        memory.download(place)


def test_no_stream_for_copies(gpu: Gpu, machine: Machine) -> None:
    machine.failing["streamCreate"] = CUDARuntimeError(46)
    with pytest.raises(DeviceError, match="cuda:0 was lost while opening it"):
        CupyMemory(gpu)


@each_schedule
def test_a_captured_step_finds_every_batch_at_the_same_address(
    fake_device: CudaDevice, machine: Machine, eager: set[int]
) -> None:
    machine.eager = eager
    place, sums = (
        fake_device.view(fake_device.allocate(LARGE), 0, (LARGE // 4,), np.dtype("f4"), "plain") for _ in "ab"
    )
    ring = np.zeros((SLOTS, LARGE // 4), np.float32)
    unpin = fake_device.pin(ring)
    step = fake_device.record(lambda: fake_device.primitives.scale(fake_device, sums, place, 2.0, True))
    waits = [nothing] * SLOTS
    for number in range(STEPS):
        waits[number % SLOTS]()
        ring[number % SLOTS] = 2.0**number
        fake_device.upload(place, ring[number % SLOTS])
        waits[number % SLOTS] = fake_device.copied()
        step()
    assert (fake_device.download(sums) == 2 * (2.0**STEPS - 1)).all()
    assert len([copy for copy in machine.copies if copy.stream == COPIES]) == STEPS
    unpin()
    assert machine.registered == {}
