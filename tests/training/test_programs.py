"""The memory of programs: a shorter batch takes none; what does not fit is told with the largest batch that does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from gpunn.backend.cuda.device import LARGEST_PARTIALS, CudaDevice
from gpunn.backend.emulator.launcher import EmulatorSettings
from gpunn.backend.emulator.opening import open_with
from gpunn.backend.sizes import describe_bytes
from gpunn.data.loading.batch import Batch
from gpunn.errors import MemoryExhaustedError
from gpunn.optimizers import Sgd
from gpunn.precision import precision
from gpunn.schedules import ConstantSchedule
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.programs import largest_batch
from gpunn.training.rule import Rule
from gpunn.training.trainer import Trainer
from tests.training.runs import network, preprocessing_of, striped, stripes

#: What a device takes for itself.
OWN_BYTES = 4 * LARGEST_PARTIALS + 8


@contextmanager
def device_with(free: int) -> Iterator[CudaDevice]:
    """An emulator that gives that many bytes."""
    device = open_with(EmulatorSettings(memory_bytes=OWN_BYTES + free))
    yield device
    device.close()


def prepare(free: int, batch: int) -> int:
    """What a trainer does before it trains, and the bytes that it takes."""
    split = stripes()
    with device_with(free) as device:
        learner = Learner(network(), device, precision("float32"), preprocessing_of(split), Rule(Sgd()))
        trainer = Trainer(learner, Plan(1, batch, ConstantSchedule(0.1)), split, preprocessing_of(split))
        left = trainer.learner.device.free_memory()
    assert left is not None
    return free - left


def test_the_largest_batch_is_named_and_fits() -> None:
    free = prepare(2**30, 48) // 2
    with pytest.raises(MemoryExhaustedError) as raised:
        prepare(free, 48)
    text = str(raised.value)
    found = re.fullmatch(
        r"small with a batch of 48 needs [\d,.]+ .iB beside its weights, and emulator has (?P<free>[\d,.]+) KiB free; "
        r"the largest batch that fits is (?P<fits>\d+): use --batch-size (?P=fits), .*--accumulate.*",
        text,
    )
    assert found, text
    assert float(found["free"]) * 1024 < free
    fits = int(found["fits"])
    assert 1 < fits < 48
    prepare(free, fits)
    with pytest.raises(MemoryExhaustedError, match=f"batch of {fits + 1} needs.*that fits is {fits}:"):
        prepare(free, fits + 1)
    assert raised.value.exit_code == 5


def test_not_even_one_image() -> None:
    with pytest.raises(MemoryExhaustedError, match="not even one image fits"):
        prepare(prepare(2**30, 1) - 1, 8)


def test_weights_that_do_not_fit() -> None:
    with pytest.raises(MemoryExhaustedError, match=r"the emulator cannot give .* KiB: .* bytes of 8\.0 MiB are free"):
        prepare(100, 8)


def test_memory_comes_back() -> None:
    with device_with(2000) as device:
        taken = device.allocate(1500)
        assert device.free_memory() == 500
        with pytest.raises(MemoryExhaustedError):
            device.allocate(501)
        part = taken[:10]
        del taken
        assert device.free_memory() == 500
        del part
        assert device.free_memory() == 2000


@pytest.mark.parametrize(
    ("free", "below", "fits"), [(0, 10, 0), (99, 10, 0), (100, 10, 1), (899, 10, 8), (10**6, 10, 9), (5, 1, 0)]
)
def test_largest_batch(free: int, below: int, fits: int) -> None:
    assert largest_batch(lambda images: 100 * images, free, below) == fits


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (12 * 2**20, "12.0 MiB"), (2**41, "2,048.0 GiB")],
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert describe_bytes(size) == text


def batch_of(size: int) -> Batch:
    images, labels = striped(size, 3)
    return Batch(images, labels.astype(np.int32), np.zeros((size, 3), np.int32), np.arange(size))


def test_a_shorter_batch_takes_no_memory_and_a_longer_one_its_own() -> None:
    with device_with(2**30) as device:
        learner = Learner(network(), device, precision("float32"), preprocessing_of(stripes()), Rule(Sgd()))
        learner.prepare([(8, False), (8, True), (2, False)], [8])
        prepared = device.free_memory()
        for size in (7, 1, 8, 5):
            learner.learn(batch_of(size), first=0, images=8)
            learner.learn(batch_of(size), first=8, images=16)
            learner.evaluate([batch_of(size)])
            learner.predict(batch_of(size))
            assert device.free_memory() == prepared
        learner.learn(batch_of(12), first=0, images=12)
        left = device.free_memory()
        assert left is not None
        assert prepared is not None
        assert left < prepared
