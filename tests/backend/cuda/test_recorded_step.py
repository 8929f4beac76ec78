"""A whole training step, recorded and repeated, computes every bit that it computes call by call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.emulator import open_emulator
from gpunn.losses import Objective, SoftmaxCrossEntropy
from gpunn.optimizers import Adam, Optimizer, Sgd
from gpunn.precision import precision
from gpunn.program.program import plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.program.update import Update, UpdateSpecification
from tests.training.runs import SIZE, network, striped

BATCH = 4
STEPS = 6

Result = dict[str, np.ndarray]


@pytest.fixture
def emulator() -> Iterator[CudaDevice]:
    device = open_emulator()
    yield device
    device.close()


def train_call_by_call(optimizer: Optimizer, name: str) -> Result:
    """The same on an emulator that records nothing."""
    device = open_emulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "record", lambda run: run)
        result = train(device, optimizer, name)
    device.close()
    return result


def train(device: CudaDevice, optimizer: Optimizer, name: str) -> Result:
    """The state after steps with dropout, batch norm and momentum, each with other images, crops and rate."""
    built = network()
    chosen = precision(name)
    state = NetworkState(built, device, chosen, optimizer)
    state.initialize(3)
    state.set_constant("image_mean", np.array([0.3]))
    state.set_constant("image_deviation", np.array([0.2]))
    objectives = (Objective(built.outputs[0], SoftmaxCrossEntropy()),)
    specification = Specification(BATCH, "train", chosen, objectives, seed=5, pictures=(SIZE, SIZE))
    (program,) = share_memory([plan_program(built, device, specification)], state)
    update = Update(state, UpdateSpecification(optimizer, clip_norm=1.0))

    draw = np.random.default_rng(1)
    for number in range(STEPS):
        images, labels = striped(BATCH, seed=number)
        program.write("images", images)
        program.write("labels", labels.astype(np.int32))
        program.write("placement", draw.integers(-1, 2, (BATCH, 3)).astype(np.int32))
        state.set_control("learning_rate", 0.05 / (number + 1))
        state.set_control("loss_share" if chosen.scales_loss else "loss_scale", 1 / BATCH)
        program.run()
        update.run()
    controls = {control: np.array(state.read_control(control)) for control in ("step", "latched_step", "loss_scale")}
    return {**state.export(), **controls, "totals": state.read_totals()}


def assert_same_bits(found: Result, expected: Result) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("optimizer", [Sgd(momentum=0.9, weight_decay=1e-3), Adam()], ids=["sgd", "adam"])
@pytest.mark.parametrize("name", ["float32", "float16"])
def test_repeated_in_the_emulator(emulator: CudaDevice, optimizer: Optimizer, name: str) -> None:
    expected = train_call_by_call(optimizer, name)
    assert int(expected["step"]) == STEPS
    assert np.isfinite(expected["conv1.weight"]).all()
    assert_same_bits(train(emulator, optimizer, name), expected)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_captured_on_a_gpu(fake_device: CudaDevice, name: str) -> None:
    expected = train_call_by_call(Sgd(), name)
    assert_same_bits(train(fake_device, Sgd(), name), expected)
    assert fake_device.tuner.table()
