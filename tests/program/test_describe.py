"""A program as text: what each call writes is named as what it is, and the update ends the list."""

from __future__ import annotations

from gpunn.backend.attributes import Penalty
from gpunn.backend.contract import Device
from gpunn.optimizers import Adam
from gpunn.precision import precision
from gpunn.program.describe import describe_program
from gpunn.program.state import NetworkState
from gpunn.program.tables import tables_of
from gpunn.program.update import Update, UpdateSpecification, plan_update
from tests.networks import norms
from tests.programs import plan, specify


def described(device: Device) -> list[str]:
    trained = norms()
    optimizer = Adam(weight_decay=0.1)
    update = plan_update(
        tables_of(trained.network, optimizer.weight_decay),
        precision("float64"),
        UpdateSpecification(optimizer, (Penalty(1, 0.1),), clip_norm=1.0),
    )
    return describe_program(plan(trained, device, specify(trained, 3)), update).splitlines()


def line_of(lines: list[str], *words: str) -> str:
    (found,) = (line for line in lines if set(words) <= set(line.replace(",", "").split()))
    return found


def test_gradients_and_proposed_statistics_are_told_from_what_they_change(cpu: Device) -> None:
    lines = described(cpu)
    assert "grad linear2.weight, grad linear2.bias <- " in line_of(lines, "linear_backward_weight", "linear2.weight")
    assert ", pending bn1.running_mean, pending bn1.running_variance <- " in line_of(lines, "batch_norm_forward")
    assert "<- relu1, linear1.weight" not in "\n".join(lines)
    assert line_of(lines, "convolution2d_backward_data").endswith("<- grad conv2, conv2.weight, workspace")


def test_the_update_ends_the_list_of_calls(cpu: Device) -> None:
    lines = described(cpu)
    calls = lines[1 : lines.index("")]
    assert [line.split()[1:3] for line in calls[-6:]] == [
        ["update", "penalty_gradient"],
        ["update", "clip_global_norm"],
        ["update", "finite_check"],
        ["update", "adam"],
        ["update", "commit_statistics"],
        ["update", "advance"],
    ]
    assert [int(line.split()[0]) for line in calls] == list(range(len(calls)))
    assert lines[0].endswith(f"{len(calls)} calls")
    assert "parameters, optimizer/first_moment, optimizer/second_moment <- gradients," in calls[-3]


def test_an_update_is_planned_as_it_runs(cpu: Device) -> None:
    trained = norms()
    optimizer = Adam(weight_decay=0.1)
    specification = UpdateSpecification(optimizer, (Penalty(1, 0.1),), clip_norm=1.0)
    state = NetworkState(trained.network, cpu, precision("float64"), optimizer)
    planned = plan_update(tables_of(trained.network, optimizer.weight_decay), precision("float64"), specification)
    assert Update(state, specification).calls == planned
    for call in planned:
        for buffer in call.buffers:
            array = state.flat(buffer.name) if buffer.kind == "flat" else state.control(buffer.name)
            assert (array.shape, array.dtype) == (buffer.shape, buffer.dtype)
