"""A training step on a GPU that is not there: memory, launches, and kernels that were chosen by measuring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpunn.errors import CheckpointError, DeviceError, UsageError
from gpunn.explaining.explanation import Explanation
from gpunn.explaining.gpu import GpuStep
from gpunn.explaining.hardware import HARDWARE, find_hardware
from gpunn.explaining.kernel_choices import read_choices
from gpunn.training.checkpoint_file import write_checkpoint
from tests.explaining.steps import call_of, on_gpu, task
from tests.training.samples import manifest_of, tensors_of

GIB = 2**30
VGG16_PARAMETERS = 138_357_544


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_step_larger_than_this_machine_is_explained_in_little_memory() -> None:
    """In bfloat16 a parameter takes 14 bytes: itself, its gradient and its velocity wide, and a narrow copy."""
    before = resident_bytes()
    memory = on_gpu("vgg16", 640, "bfloat16").memory
    assert resident_bytes() - before < 300 * 2**20
    assert memory.program > 12 * GIB
    assert memory.state == pytest.approx(14 * VGG16_PARAMETERS, rel=0.04)
    assert (memory.available, memory.largest_batch) == (80 * GIB, None)


def test_the_largest_batch_that_fits() -> None:
    too_much = on_gpu("vgg16", 640, "float32", "rtx4090").memory
    largest = too_much.largest_batch
    assert largest is not None
    assert too_much.total > 24 * GIB
    assert on_gpu("vgg16", largest, "float32", "rtx4090").memory.total <= 24 * GIB
    assert on_gpu("vgg16", largest + 1, "float32", "rtx4090").memory.total > 24 * GIB


def test_tiles_cover_the_product() -> None:
    """VGG-16's conv1_2 has 128 * 224 * 224 rows and 64 columns, so 50,176 tiles of 128 x 64; fc6's backward-filter
    25,088 rows and 4,096 columns, so 196 * 32 tiles of 128 x 128."""
    explanation = on_gpu("vgg16", 128, "bfloat16")
    (conv,) = call_of(explanation, "conv1_2", "convolution2d_forward").launches
    assert (conv.kernel, conv.choices) == ("convolution2d_forward_tensor", ("bfloat16", "aligned_128x64"))
    assert (conv.tile, conv.grid) == ("128x64", (50176, 1, 1))
    (linear, *_) = call_of(explanation, "fc6", "linear_backward_weight").launches
    assert (linear.tile, linear.grid) == ("128x128", (196 * 32, 1, 1))


@pytest.mark.parametrize(
    ("device", "precision", "teraflops"),
    [("h100", "float32", 47), ("h100", "tf32", 417), ("h100", "bfloat16", 798), ("a100", "tf32", 156)],
)
def test_the_ceiling_is_that_of_the_precision(device: str, precision: str, teraflops: float) -> None:
    explanation = on_gpu("lenet", 8, precision, device)
    assert explanation.product.per_second == teraflops * 1e12
    found = call_of(explanation, "conv2", "convolution2d_forward")
    assert found.product_ms == pytest.approx(1000 * 2 * 8 * 8 * 8 * 50 * 25 * 20 / (teraflops * 1e12))


def test_a_source_is_compiled_once() -> None:
    """However many launches have it."""
    step = GpuStep(task("vgg11", 2, "bfloat16"), "h100", HARDWARE["h100"])
    launched = [(launch.file, launch.choices) for call in step.explain({}).calls for launch in call.launches]
    found = [(source.path.name, tuple(word for _, word in source.chosen)) for source in step.sources]
    assert len(found) == len(set(found)) < len(launched)
    assert set(found) == set(launched)


def test_rows_are_layers_and_phases() -> None:
    explanation = on_gpu("lenet", 8, "float32")
    names = [(row.layer, row.phase) for row in explanation.rows]
    assert len(names) == len(set(names))
    assert names[0] == ("input", "forward")
    assert names[-1] == ("optimizer", "update")
    assert ("loss", "loss") in names
    assert [call for row in explanation.rows for call in row.calls] == list(explanation.calls)


def second_candidates(step: GpuStep) -> dict[str, object]:
    """For every choice, a kernel that is not the first by rule of thumb."""
    names = {key: key.rpartition(" of ")[2].split(", ") for key in step.chosen}
    return {key: next(name for name in names[key] if name != step.chosen[key]) for key in step.chosen}


def launches_of(explanation: Explanation) -> list[object]:
    return [launch for call in explanation.calls for launch in call.launches]


@pytest.mark.parametrize("kind", ["tuning file", "checkpoint"])
def test_kernels_that_were_chosen_by_measuring(kind: str, tmp_path: Path) -> None:
    asked = task("lenet", 8, "float32")
    by_rule = GpuStep(asked, "a100", HARDWARE["a100"])
    choices = second_candidates(by_rule)
    assert choices
    assert set(choices.values()) <= {"simt 128", "simt 64"}
    elsewhere = {"tuned/sm_90/convolution2d_forward": "simt 128", "cpu_threads": 2}
    path = tmp_path / ("tuning.json" if kind == "tuning file" else "last.safetensors")
    if kind == "tuning file":
        path.write_text(json.dumps({**choices, **elsewhere}))
    else:
        kept = manifest_of(1).model_copy(update={"thread_plan": {**choices, **elsewhere}})
        write_checkpoint(path, tensors_of(1), kept)
    read = read_choices(path, "80")
    assert read == choices
    measured = GpuStep(asked, "a100", HARDWARE["a100"], read)
    assert measured.chosen == choices
    tiles = [
        [launch.tile for call in step.explain({}).calls for launch in call.launches if launch.tile]
        for step in (by_rule, measured)
    ]
    assert len(tiles[0]) == len(tiles[1])
    assert all(one != other for one, other in zip(*tiles, strict=True))
    assert "chosen by measuring, 0 chosen by rule of thumb" in measured.explain({}).kernels


def test_files_without_choices(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        read_choices(path, "90")
    for text in ("{", "[1]", "{}", '{"tuned/sm_80/x": "simt 64"}'):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"tuning\.json"):
            read_choices(path, "90")
    damaged = tmp_path / "last.safetensors"
    damaged.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError):
        read_choices(damaged, "90")


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="'v100' is not known here; choose one of h100, a100, rtx4090, cpu"):
        find_hardware("v100")
    with pytest.raises(DeviceError, match="float64 is not computed on h100"):
        on_gpu("lenet", 1, "float64")


def test_tiles_that_are_not_full() -> None:
    """fc8's 1,000 columns in tiles of 64 are 1,024; its 128 rows and its depth of 4,096 leave nothing over."""
    found = call_of(on_gpu("vgg16", 128, "bfloat16"), "fc8", "linear_forward")
    assert found.launches[0].tile == "128x64"
    assert found.flops == 2 * 128 * 1000 * 4096
    assert found.executed_flops == 2 * 128 * 1024 * 4096
