"""PyTorch's side against gpunn's: the same numbers from the same pictures and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn import backend
from gpunn.errors import UsageError
from gpunn.geometry import Shape
from gpunn.graph import Node
from gpunn.layers import (
    ELU,
    Add,
    BatchNorm,
    Concatenate,
    Conv2d,
    Dropout,
    Flatten,
    GlobalMeanPool2d,
    GroupNorm,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    MeanPool2d,
    ReLU,
    Sigmoid,
    Softplus,
    Step,
    Swish,
    Tanh,
    image_input,
)
from gpunn.models import model
from gpunn.models.definition import Model
from gpunn.models.recipe import Recipe
from gpunn.network import Network, Sequential
from gpunn.precision import precision
from gpunn.program.program import plan_program, share_memory
from gpunn.program.specification import Specification
from gpunn.program.state import NetworkState
from gpunn.timing.contestant import Task
from gpunn.timing.gpunn_contestant import GpunnContestant
from gpunn.timing.network_step import NetworkStep
from gpunn.timing.pytorch import pytorch_contestant, pytorch_network
from gpunn.timing.pytorch.contestant import PytorchContestant
from gpunn.timing.pytorch.openmp import end_idle_threads
from gpunn.timing.pytorch.row_plan import plan_rows
from gpunn.timing.pytorch.step import PytorchStep
from gpunn.timing.report import Ceilings

torch: Any = pytest.importorskip("torch")

BATCH = 3


@pytest.fixture
def device() -> Iterator[Any]:
    opened = backend.open("cpu", 1)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait in circles are slow beside other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def task(name: str = "lenet", batch: int = BATCH) -> Task:
    chosen = model(name)
    return Task(chosen, batch, "float32", chosen.image, chosen.classes)


def both(network: Network, device: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What gpunn and PyTorch make of the same numbers, in evaluation."""
    state = NetworkState(network, device, precision("float32"))
    state.initialize(seed=3)
    asked = Specification(BATCH, "evaluate", precision("float32"))
    (program,) = share_memory([plan_program(network, device, asked)], state)
    images = np.random.default_rng(4).standard_normal((BATCH, *network.image.shape)).astype(np.float32)
    program.write(network.image.name, images)
    program.run()
    module = pytorch_network(network, state.parameters.export()).eval()
    with torch.inference_mode():
        theirs = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return program.read_output(network.outputs[0]), theirs.numpy()


CHAINS: dict[str, tuple[Shape, tuple[Layer, ...]]] = {
    "linear of an image": ((5, 4, 3), (Flatten(), Dropout(0.5), Linear(None, 6), Tanh(), Linear(None, 2, bias=False))),
    "uneven padding": ((8, 8, 2), (Conv2d(4, 5, stride=2, padding="same"), ReLU(), Flatten(), Linear(None, 3))),
    "groups and dilation": (
        (9, 9, 4),
        (Conv2d(6, 3, padding=2, dilation=2, groups=2, bias=False), ELU(0.5), Flatten()),
    ),
    "poolings": (
        (13, 12, 3),
        (MaxPool2d(3, 2, ceil_mode=True), LeakyReLU(0.2), MeanPool2d(2, padding=1), Swish(), GlobalMeanPool2d()),
    ),
    "norms": (
        (6, 6, 8),
        (BatchNorm(), ReLU(), LocalResponseNorm(), Softplus(), Identity(), Flatten(), Linear(None, 4)),
    ),
    "functions": ((4, 4, 2), (Sigmoid(), ReLU(), Flatten(), Flatten(), Dropout(0.2), Linear(None, 3))),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_gives_the_same_numbers(name: str, device: Any) -> None:
    image, layers = CHAINS[name]
    ours, theirs = both(Sequential(*layers).network(image), device)
    if name == "groups and dilation":
        # It ends in a flattened image, which PyTorch has in the order c, h, w.
        theirs = theirs.reshape(BATCH, 6, 9, 9).transpose(0, 2, 3, 1).reshape(ours.shape)
    np.testing.assert_allclose(theirs, ours, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["mlp", "lenet", "lecture-cnn", "vgg11-bn-cifar"])
def test_a_model_gives_the_same_numbers(name: str, device: Any) -> None:
    chosen = model(name)
    ours, theirs = both(chosen.build(chosen.image, chosen.classes), device)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_a_step_has_the_same_gradients(device: Any) -> None:
    step = PytorchStep(torch, task(), "cpu")
    step.train()
    ours = NetworkStep(task(), device)
    ours.train()
    assert ours.state.gradients is not None
    wanted = ours.state.gradients.export()
    conv2 = step.modules["conv2"].weight.grad.numpy().transpose(2, 3, 1, 0)
    np.testing.assert_allclose(conv2, wanted["conv2.weight"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(step.modules["fc4"].weight.grad.numpy().T, wanted["fc4.weight"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(step.modules["conv1"].bias.grad.numpy(), wanted["conv1.bias"], rtol=1e-3, atol=1e-6)


def test_a_step_in_parts_computes_the_same_and_tells_every_part_in_the_order_of_its_end() -> None:
    whole, parted = PytorchStep(torch, task(), "cpu"), PytorchStep(torch, task(), "cpu")
    told: list[tuple[str, str]] = []
    whole.train()
    parted.train_in_parts(lambda name, direction: told.append((name, direction)))
    names = list(parted.modules)
    assert names == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc3", "relu3", "fc4"]
    assert told == [
        ("input", "forward"),
        ("optimizer", "backward"),
        *((name, "forward") for name in names),
        ("loss", "forward"),
        ("loss", "backward"),
        *((name, "backward") for name in reversed(names)),
        ("optimizer", "backward"),
    ]
    for name in ("conv1", "conv2", "fc4"):
        assert torch.equal(whole.modules[name].weight.grad, parted.modules[name].weight.grad)
        assert torch.equal(whole.modules[name].weight, parted.modules[name].weight)


def test_a_gradient_is_known_when_its_layer_has_passed() -> None:
    step = PytorchStep(torch, task(), "cpu")
    known: dict[str, list[str]] = {}

    def passed(name: str, direction: str) -> None:
        if direction == "backward":
            modules = step.modules.items()
            known[name] = [
                label for label, module in modules if getattr(module, "weight", torch.empty(0)).grad is not None
            ]

    step.train_in_parts(passed)
    assert known["loss"] == []
    assert known["fc4"] == ["fc4"]
    assert known["relu3"] == ["fc4"]
    assert known["pool2"] == ["fc3", "fc4"]
    assert known["conv2"] == ["conv2", "fc3", "fc4"]


def test_a_network_whose_first_layers_have_no_weights_passes_too() -> None:
    told: list[tuple[str, str]] = []
    PytorchStep(torch, task("mlp"), "cpu").train_in_parts(lambda name, direction: told.append((name, direction)))
    assert ("flatten", "forward") in told
    assert ("flatten", "backward") not in told
    assert told[-2:] == [("fc1", "backward"), ("optimizer", "backward")]


def test_weights_decay_and_biases_do_not() -> None:
    step = PytorchStep(torch, task("lecture-cnn"), "cpu")
    decaying, spared = step._optimizer.param_groups
    assert (decaying["weight_decay"], spared["weight_decay"]) == (model("lecture-cnn").recipe.weight_decay, 0.0)
    assert {parameter.dim() for parameter in spared["params"]} == {1}
    assert sorted(parameter.dim() for parameter in decaying["params"]) == [2, 2, 4, 4]
    assert decaying["momentum"] == 0.9


def test_its_rows_are_those_of_gpunn_and_hold_all_that_was_timed(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.timing.stopwatch.SAMPLE_SECONDS", 1e-6)
    theirs, ours = pytorch_contestant(task(), "cpu", 1), GpunnContestant(task(), device)
    assert theirs.layers(None) == ()
    for _ in range(2):
        theirs.sample_layers()
        ours.sample_layers()
    rows, own = theirs.layers(Ceilings(1e9, 1e9, "a product")), ours.layers(None)
    assert [(row.name, row.kind) for row in rows] == [(row.name, row.kind) for row in own]
    assert [(row.flops, row.bytes) for row in rows[1:]] == [(row.flops, row.bytes) for row in own[1:]]
    timed = 1000 * np.mean([sum(sample) for sample in theirs._samples])
    assert sum(row.forward_ms + row.backward_ms for row in rows) == pytest.approx(timed)
    kinds = {row.name: row.algorithm for row in rows}
    assert kinds["conv1"] == "Conv2d + ReLU / Conv2d"
    assert kinds["relu2"] == "ReLU"
    assert kinds["fc4"] == "Linear / ReLU + Linear"
    conv2 = rows[3]
    floor = max(2 * 2 * BATCH * 64 * 50 * 500 / 1e9, 0)  # two of its three passes at least are held up by products
    assert conv2.share_of_ceiling is not None
    assert conv2.share_of_ceiling * (conv2.forward_ms + conv2.backward_ms) / 1000 >= floor
    assert all(row.share_of_ceiling is None for row in theirs.layers(None))
    theirs.close()


def test_it_says_who_it_is_and_gives_the_threads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    contestant: PytorchContestant = pytorch_contestant(task(), "cpu", 2)
    assert (contestant.device, contestant.threads) == ("pytorch:cpu", 2)
    assert contestant.versions == {"pytorch": torch.__version__}
    assert contestant.name
    for subject in (contestant.training, contestant.inference):
        subject.wait()
        subject.call()
        subject.wait()
    contestant.close()
    assert torch.get_num_threads() == 1


def test_its_threads_end_with_its_turn() -> None:
    torch.set_num_threads(2)
    torch.zeros(2**18).add_(1)
    tasks = Path("/proc/self/task")
    working = len(list(tasks.iterdir()))
    end_idle_threads()
    assert len(list(tasks.iterdir())) < working
    # And begin anew.
    assert float(torch.ones(2**18).sum()) == 2**18


def test_ceilings_are_of_a_product_and_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpunn.timing.ceilings.LONG_ENOUGH", 0)
    contestant = pytorch_contestant(task(), "cpu", 1)
    measured = contestant.ceilings()
    assert measured.product == "torch.mm"
    assert measured.flops > 0
    assert measured.bytes_per_second > 0
    contestant.close()


def test_bfloat16_is_mixed_precision() -> None:
    chosen = model("lenet")
    mixed = PytorchStep(torch, Task(chosen, BATCH, "bfloat16", chosen.image, chosen.classes), "cpu")
    assert mixed.infer().dtype == torch.bfloat16
    assert mixed.modules["conv1"].weight.dtype == torch.float32
    mixed.train()


@pytest.mark.parametrize("layer", [GroupNorm(2), Step(), Dropout(0.5, "classic"), MaxPool2d(2, padding=(0, 1, 0, 1))])
def test_a_layer_that_is_not_translated_is_refused_by_its_name(layer: Layer) -> None:
    layer.name = "odd"
    network = Sequential(layer, Flatten(), Linear(None, 2)).network((8, 8, 4))
    with pytest.raises(UsageError, match="layer 'odd'"):
        pytorch_network(network, weights_of(network))


def residual(image: Node) -> Node:
    """Two branches that are added, one of them through a projection, and an identity that skips two layers."""
    first = ReLU(name="first")(Conv2d(6, 3, padding=1, name="stem")(image))
    branch = BatchNorm(name="norm")(Conv2d(8, 3, stride=2, padding=1, bias=False, name="wide")(first))
    joined = ReLU(name="joined")(Add(name="sum")(Conv2d(8, 1, stride=2, name="projection")(first), branch))
    skipped = Add(name="skip")(joined, Conv2d(8, 3, padding=1, name="kept")(Swish(name="swish")(joined)))
    return Linear(None, 5, name="scores")(Flatten(name="flatten")(skipped))


def concatenated(image: Node) -> Node:
    """Three branches side by side, one of them the image itself."""
    wide, narrow = (Conv2d(K, size, padding=size // 2, name=f"by{size}")(image) for K, size in ((5, 3), (2, 1)))
    joined = Concatenate(name="joined")(wide, image, Identity(name="same")(narrow))
    return Linear(None, 4, name="scores")(GlobalMeanPool2d(name="mean")(ReLU(name="relu")(joined)))


def vectors(image: Node) -> Node:
    """Flattened images that are added to one another, and vectors that are concatenated."""
    flat = Flatten(name="flat")(image)
    doubled = Add(name="doubled")(Tanh(name="tanh")(flat), flat, flat)
    hidden = Linear(None, 6, name="hidden")(doubled)
    return Linear(None, 3, name="scores")(Concatenate(name="joined")(hidden, Linear(None, 2, name="more")(hidden)))


def twice(image: Node) -> Node:
    """One convolution, used again on what it computed."""
    shared = Conv2d(4, 3, padding=1, name="shared")
    return Flatten(name="flatten")(GlobalMeanPool2d(name="mean")(shared(ReLU(name="relu")(shared(image)))))


BRANCHING = {build.__name__: build for build in (residual, concatenated, vectors, twice)}


def branching_task(build: Callable[[Node], Node], image: Shape = (6, 8, 4)) -> Task:
    def network(image: Shape, classes: int) -> Network:
        return Network(build(image_input(image)))

    recipe = Recipe(epochs=1, batch_size=BATCH, learning_rate=0.1, weight_decay=1e-3)
    chosen = Model(build.__name__, image, 3, True, network, recipe, "")
    return Task(chosen, BATCH, "float32", chosen.image, chosen.classes)


@pytest.mark.parametrize("name", BRANCHING)
def test_branches_give_the_same_numbers_and_gradients(name: str, device: Any) -> None:
    asked = branching_task(BRANCHING[name])
    ours, theirs = both(asked.network(), device)
    np.testing.assert_allclose(theirs, ours, rtol=2e-5, atol=2e-6)
    step, own = PytorchStep(torch, asked, "cpu"), NetworkStep(asked, device)
    step.train()
    own.train()
    assert own.state.gradients is not None
    wanted = own.state.gradients.export()
    for label, module in step.modules.items():
        if isinstance(module, torch.nn.Conv2d):
            found = module.weight.grad.numpy().transpose(2, 3, 1, 0)
            np.testing.assert_allclose(found, wanted[f"{label.partition('@')[0]}.weight"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", BRANCHING)
def test_branches_in_parts_compute_the_same_and_every_part_counts_in_a_row_of_gpunn(name: str) -> None:
    asked = branching_task(BRANCHING[name])
    whole, parted = PytorchStep(torch, asked, "cpu"), PytorchStep(torch, asked, "cpu")
    told: list[tuple[str, str]] = []
    whole.train()
    parted.train_in_parts(lambda name, direction: told.append((name, direction)))
    for ours, theirs in zip(parted.modules.values(), whole.modules.values(), strict=True):
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(parameter.grad, other.grad)
    passes = [*((label, "forward") for label in parted.modules), ("loss", "backward")]
    assert [(label, way) for label, way in told if way == "forward"][1:-1] == passes[:-1]
    assert len(told) == len(set(told)) + 1  # the gradients are cleared before, and the weights changed after
    rows = plan_rows(asked)
    assert {rows.row(label, way) for label, way in told} <= set(rows.kinds)


def test_gpunn_counts_an_activation_where_its_own_branch_computes_it() -> None:
    rows = plan_rows(branching_task(residual))
    assert rows.row("first", "forward") == "stem"
    assert rows.row("norm", "forward") == "norm"
    assert rows.row("sum", "forward") == "sum"
    assert rows.row("flatten", "backward") in rows.kinds


def test_a_chain_is_a_sequence_as_people_write_it() -> None:
    networks = [asked.network() for asked in (task("lenet"), branching_task(concatenated))]
    modules = [pytorch_network(network, weights_of(network)) for network in networks]
    assert [isinstance(module, torch.nn.Sequential) for module in modules] == [True, False]
    assert all(isinstance(module, torch.nn.Module) for module in modules)


def test_pytorch_overwrites_what_nobody_else_reads() -> None:
    step = PytorchStep(torch, branching_task(residual), "cpu")
    modules = step.modules
    assert modules["first"].inplace
    assert modules["joined"].inplace
    wide, _ = (step._parts[list(modules).index(label)] for label in ("sum", "skip"))
    assert set(wide.inputs) == {"projection", "norm"}
    # Swish needs what it reads, and the sum is read by it as well: only the convolution's output may be written over.
    assert step._parts[list(modules).index("skip")].inputs == ("kept", "joined")


def test_what_is_not_translated_is_refused_by_name() -> None:
    image = image_input((4, 4, 2))
    flat = Flatten(name="flat")(image)
    mixed = Linear(None, 2, name="scores")(Concatenate(name="joined")(flat, flat))
    with pytest.raises(UsageError, match="layer 'joined' merges flattened images"):
        pytorch_network(Network(mixed), weights_of(Network(mixed)))
    two = Network([Linear(None, 2, name="one")(flat), Linear(None, 2, name="other")(flat)])
    with pytest.raises(UsageError, match="several outputs"):
        pytorch_network(two, weights_of(two))


def weights_of(network: Network) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.zeros(parameter.shape, np.float32) for name, parameter, _ in network.parameters()}
