"""Explanations as text, made of figures that the tests write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpunn.cli.columns import Column, fitting
from gpunn.cli.explain_tables import heading, launch_columns, layer_columns, totals
from gpunn.explaining.explanation import ExplainedCall, Explanation, Launch, Residency, StepMemory, rows_of
from gpunn.explaining.hardware import Ceiling

GIB = 2**30
FULL = Residency(
    registers=40, spill_bytes=0, shared_bytes=0, blocks=4, occupancy=0.5, waves=2.5, tail_efficiency=2.5 / 3
)
PRODUCT = Launch("product", "product.cu", ("bfloat16", "aligned_128x64"), "128x64", (20, 1, 3), (128, 1, 1), 0, FULL)
SUM = Launch("sum_up", "sum.cu", (), None, (7, 1, 1), (16, 16, 1), 0, replace(FULL, spill_bytes=24))
CALLS = (
    ExplainedCall(
        "conv1", "forward", "convolution2d_forward", "tensor", 4_000_000_000, 5_000_000_000, 2_000_000, 4.0, 1.0
    ),
    ExplainedCall(
        "conv1", "backward", "convolution2d_backward_filter", "tensor", 8_000_000_000, 8_000_000_000, 0, 8.0, 0.5
    ),
    ExplainedCall(
        "conv1", "backward", "convolution2d_backward_data", "tensor", 1_000_000_000, 1_000_000_000, 0, 1.0, 3.0
    ),
    ExplainedCall("update", "update", "sgd", "sgd", 0, 0, 250_000_000, 0.0, 5.0),
)


@pytest.fixture
def explanation() -> Explanation:
    launched = [replace(call, launches=(PRODUCT, SUM) if call.flops else (SUM,)) for call in CALLS]
    return Explanation(
        model="net",
        batch=10,
        precision="bfloat16",
        device="h100",
        name="Some GPU",
        product=Ceiling(5e12, "measured"),
        copy=Ceiling(6e10, "nominal"),
        rows=rows_of(launched),
        memory=StepMemory(3 * GIB, GIB, 8 * GIB),
        kernels="all of them",
    )


def cells(columns: list[Column]) -> dict[str, tuple[str, ...]]:
    return {column.title: column.cells for column in columns}


def test_an_algorithm_that_executes_less_than_the_definition_has_no_useful_part(explanation: Explanation) -> None:
    fewer = replace(CALLS[0], executed_flops=1_500_000_000)
    found = cells(layer_columns(replace(explanation, rows=rows_of([fewer, *CALLS[1:]]))))
    assert found["useful"] == ("", "100%", "")


def test_a_line_for_each_layer_and_phase(explanation: Explanation) -> None:
    found = cells(layer_columns(explanation))
    assert found["layer"] == ("conv1", "conv1", "optimizer")
    assert found["phase"] == ("forward", "backward", "update")
    assert found["kernel"] == ("product +1", "product +3", "sum_up")
    assert found["tile"] == ("128x64", "128x64", "")
    assert found["grid"] == ("20x1x3", "20x1x3", "7")
    assert found["threads"] == ("128", "128", "16x16")
    assert found["waves"] == ("2.50 (83%)",) * 3
    assert found["registers"] == ("40", "40", "40 spills 24 B")
    assert found["occupancy"] == ("50%",) * 3
    assert found["GFLOP"] == ("4", "9", "")
    assert found["useful"] == ("80%", "100%", "")
    assert found["MB"] == ("2", "0", "250")
    # 8 of the product and 3 of the copy: two calls cannot overlap.
    assert found["floor ms"] == ("4.000", "11.000", "5.000")
    assert found["bound by"] == ("product", "product", "copy")
    assert found["of step"] == ("20.0%", "55.0%", "25.0%")
    assert found["measured"] == found["reached"] == ("", "", "")


def test_a_line_for_each_launch(explanation: Explanation) -> None:
    found = cells(launch_columns(explanation))
    kernel = "product<bfloat16, aligned_128x64>"
    assert found["kernel"] == (kernel, "sum_up", kernel, "sum_up", kernel, "sum_up", "sum_up")
    assert found["layer"] == ("conv1", "", "conv1", "", "conv1", "", "update")
    assert found["floor ms"] == ("4.000", "", "8.000", "", "3.000", "", "5.000")
    assert found["bound by"] == ("product", "", "product", "", "copy", "", "copy")


def test_a_row_is_that_of_its_longest_call(explanation: Explanation) -> None:
    """Also where it is not the first: the sum of 7 x 1 blocks takes 11 ms, the product before it 8."""
    _, product, copy, _ = explanation.calls
    slow = replace(copy, copy_ms=11.0, launches=(SUM,))
    found = cells(layer_columns(replace(explanation, rows=rows_of([product, slow]))))
    assert found["kernel"] == ("sum_up +2",)
    assert (found["grid"], found["bound by"]) == (("7",), ("copy",))


def test_without_a_compiler(explanation: Explanation) -> None:
    bare = [replace(call, launches=(replace(PRODUCT, residency=None),)) for call in explanation.calls]
    found = cells(layer_columns(replace(explanation, rows=rows_of(bare))))
    assert found["waves"] == found["registers"] == found["occupancy"] == ("", "", "")
    assert not any("spill" in line for line in totals(replace(explanation, rows=rows_of(bare))))


def test_on_a_cpu_the_algorithm_stands_for_the_kernel(explanation: Explanation) -> None:
    bare = replace(explanation, rows=rows_of(CALLS))
    assert cells(layer_columns(bare))["kernel"] == ("tensor", "tensor", "sgd")
    assert cells(launch_columns(bare))["kernel"][0] == "convolution2d_forward: tensor"


def test_measured_times(explanation: Explanation) -> None:
    times = (8.0, 16.0, 6.0, None)
    calls = [replace(call, measured_ms=time) for call, time in zip(explanation.calls, times, strict=True)]
    measured = replace(explanation, rows=rows_of(calls), measured="some file", measured_step_ms=40.0)
    found = cells(layer_columns(measured))
    assert found["measured"] == ("8.000", "22.000", "")
    assert found["reached"] == ("50%", "50%", "")
    assert totals(measured)[-1].endswith("some file; the whole step 40.00 ms, which reaches 50%")


def test_the_sums(explanation: Explanation) -> None:
    assert heading(explanation) == "net, one training step of 10 images in bfloat16 on Some GPU"
    counted, floor, ceilings, _, memory, kernels, spilled = totals(explanation)
    assert counted == "4 calls, 7 launches: 13 GFLOP (14 with the padding of tiles), 0.252 GB"
    assert floor == "floor 20.00 ms, 500 images/s (products alone 13.00 ms, copies alone 9.50 ms)"
    assert ceilings == "ceilings: products 5 TFLOP/s (measured), copies 60 GB/s (nominal)"
    assert (
        memory == "memory 4.0 GiB of 8.0 GiB: 3.0 GiB activations and scratch, 1.0 GiB weights, gradients and optimiser"
    )
    assert kernels == "kernels: all of them"
    assert spilled == "registers spilled by sum_up"


def test_short_steps_are_told_in_microseconds(explanation: Explanation) -> None:
    """A thousandth of every time: 20 us for the step, 4, 11 and 5 for its rows."""
    calls = [
        replace(call, product_ms=call.product_ms / 1000, copy_ms=call.copy_ms / 1000, measured_ms=call.floor_ms / 500)
        for call in explanation.calls
    ]
    short = replace(explanation, rows=rows_of(calls), measured="some file", measured_step_ms=0.04)
    found = cells(layer_columns(short))
    assert "floor ms" not in found
    assert found["floor us"] == ("4.00", "11.00", "5.00")
    assert found["measured"] == ("8.00", "22.00", "10.00")
    assert totals(short)[1] == "floor 20.00 us, 500,000 images/s (products alone 13.00 us, copies alone 9.50 us)"
    assert totals(short)[-1].startswith("measured in us, ")
    assert totals(short)[-1].endswith("the whole step 40.00 us, which reaches 50%")


def test_a_cpu_has_no_tiles(explanation: Explanation) -> None:
    bare = replace(explanation, rows=rows_of(CALLS))
    assert totals(bare)[0] == "4 calls: 13 GFLOP (14 executed), 0.252 GB"


def test_a_step_that_does_not_fit(explanation: Explanation) -> None:
    full = replace(explanation, memory=StepMemory(9 * GIB, GIB, 8 * GIB, largest_batch=7))
    assert any(line.endswith("this does not fit, the largest batch that does is 7") for line in totals(full))


def test_narrow_terminals_lose_what_is_worth_least() -> None:
    columns = [
        Column("first", ("a", "bbbbbbb"), False, 9),
        Column("wide", ("c" * 20, ""), False, 1),
        Column("empty", ("", ""), False, 0),
        Column("last", ("1", "2"), True, 5),
    ]
    first, wide, _, last = columns
    assert fitting(columns, None) == ([first, wide, last], [])
    # Seven, 20 and four characters with two between.
    assert fitting(columns, 35) == ([first, wide, last], [])
    assert fitting(columns, 34) == ([first, last], [wide])
    assert fitting(columns, 13) == ([first, last], [wide])
    assert fitting(columns, 12) == ([first], [wide, last])
    assert fitting(columns, 1) == ([first], [wide, last])
