"""The door to kernels: what it refuses, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpunn.backend.cuda.launching.arguments import Rows, channel_pitch, rows_of
from gpunn.backend.cuda.launching.launch import CheckedLaunch, Grid, Launcher, striding_grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.emulator.memory import HostMemory
from gpunn.errors import DeviceError, UsageError

TEXT = """
extern "C" __global__ void scale(OUTPUT float* y, int y_pitch, const float* x, OPTIONAL const float* bias,
                                 int count, float factor, double rate, long long step, unsigned char level) {}
extern "C" __global__ void odd(half* y) {}
"""
GRID = Grid((1, 1, 1), (32, 1, 1))


class Recorder:
    """An executor that keeps the last launch."""

    last: CheckedLaunch

    def execute(self, launch: CheckedLaunch) -> None:
        self.last = launch

    def close(self) -> None:
        pass


@pytest.fixture
def source(tmp_path: Path) -> KernelSource:
    path = tmp_path / "example.cu"
    path.write_text(TEXT)
    return KernelSource(path)


def arguments(**changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "y": np.zeros((2, 4), np.float32),
        "y_pitch": 4,
        "x": np.zeros(8, np.float32),
        "bias": None,
        "count": 8,
        "factor": 0.1,
        "rate": 0.1,
        "step": 2**40,
        "level": 255,
    }
    return values | changed


def launch(source: KernelSource, grid: Grid = GRID, kernel: str = "scale", **changed: Any) -> dict[str, Any]:
    recorder = Recorder()
    Launcher(HostMemory(), recorder).launch_from(source, kernel, grid, arguments(**changed))
    return {bound.parameter.name: bound.value for bound in recorder.last.arguments}


def test_numbers_get_the_declared_type(source: KernelSource) -> None:
    bound = launch(source, count=np.int64(8), factor=1)
    assert list(bound) == ["y", "y_pitch", "x", "bias", "count", "factor", "rate", "step", "level"]
    types = {name: type(value) for name, value in bound.items() if isinstance(value, np.generic)}
    assert types == {
        "y_pitch": np.int32,
        "count": np.int32,
        "factor": np.float32,
        "rate": np.float64,
        "step": np.int64,
        "level": np.uint8,
    }
    assert bound["step"] == 2**40


def test_slices_go_where_a_pitch_is_declared(source: KernelSource) -> None:
    wide = np.zeros((2, 3, 10), np.float32)
    bound = launch(source, y=wide[..., 2:6], y_pitch=10)
    assert bound["y"].shape == (2, 3, 4)


READ_ONLY = np.zeros(8, np.float32)
READ_ONLY.flags.writeable = False
HUGE = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**16, 2**15), (0, 0))
UNALIGNED = np.zeros(33, np.uint8)[1:].view(np.float32)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": np.zeros(8)}, "'x' is float64; the kernel declares float, which wants float32"),
        ({"x": None}, "'x' is None; it wants an array of float32"),
        ({"y": READ_ONLY}, "'y' is read-only"),
        ({"x": np.zeros((4, 4), np.float32).T[:2]}, r"'x' of shape \(2, 4\) has strides \(4, 16\).*row by row"),
        ({"x": np.zeros((4, 4), np.float32)[:, :2]}, "'x'.*the kernel wants it row by row"),
        ({"y": np.zeros((2, 10), np.float32)[:, :4]}, "'y' has a pitch of 10, but y_pitch is 4"),
        ({"y": np.zeros((2, 3, 10), np.float32)[:, ::2, :4]}, "'y'.*a slice of its last axis|'y' has a pitch of 20"),
        ({"x": HUGE}, "'x' .* has 2147483648 elements; kernels count to 2147483647: use a smaller batch"),
        ({"x": UNALIGNED}, "'x' lies at an address that is no multiple of 4 bytes"),
        ({"count": 2.0}, r"'count' is 2\.0 \(float\); the kernel wants the integer type int32"),
        ({"count": 2**31}, "'count' is 2147483648; int holds -2147483648 to 2147483647"),
        ({"level": -1}, "'level' is -1; unsigned char holds 0 to 255"),
        ({"factor": "a"}, r"'factor' is 'a' \(str\); the kernel wants a number"),
        ({"factor": 1e39}, r"'factor' is 1e\+39; the largest float is 3\.4"),
        ({"weight": 1}, "takes 9 arguments .*missing: none; unknown: weight"),
    ],
)
def test_refusals_name_kernel_and_argument(source: KernelSource, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=rf"kernel scale.*{words}"):
        launch(source, **changed)


def test_missing_argument(source: KernelSource) -> None:
    values = arguments()
    del values["rate"]
    with pytest.raises(UsageError, match=r"kernel scale takes 9 arguments .*missing: rate; unknown: none"):
        Launcher(HostMemory(), Recorder()).launch_from(source, "scale", GRID, values)


def test_arrays_of_other_devices(source: KernelSource) -> None:
    with pytest.raises(DeviceError, match=r"kernel scale: argument 'x' is a builtins\.list; .* numpy\.ndarray"):
        launch(source, x=[1.0])


def test_unknown_kernels_and_types(source: KernelSource) -> None:
    with pytest.raises(DeviceError, match=r"example\.cu has no kernel 'scales'; it has scale, odd"):
        launch(source, kernel="scales")
    with pytest.raises(DeviceError, match="argument 'y' has the C type 'half', which the launcher does not know"):
        Launcher(HostMemory(), Recorder()).launch_from(source, "odd", GRID, {"y": np.zeros(1, np.float16)})


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (Grid((0, 1, 1), (32, 1, 1)), r"grid of \(0, 1, 1\) blocks"),
        (Grid((1, 65536, 1), (32, 1, 1)), "1 to 65535"),
        (Grid((1, 1, 1), (32, 33, 1)), r"block of \(32, 33, 1\) threads; it must have 1 to 1024"),
        (Grid((1, 1, 1), (0, 1, 1)), r"block of \(0, 1, 1\) threads"),
        (Grid((1, 1, 1), (32, 1, 1), 300_000), "300000 bytes of dynamic shared memory"),
    ],
)
def test_grids_that_no_gpu_has(source: KernelSource, grid: Grid, words: str) -> None:
    with pytest.raises(UsageError, match=rf"kernel scale: .*{words}"):
        launch(source, grid)


@pytest.mark.parametrize(
    ("items", "per_block", "blocks"),
    [(0, 256, 1), (1, 256, 1), (256, 256, 1), (257, 256, 2), (9, 4, 3), (10**9, 256, 4096)],
)
def test_a_striding_grid_covers_its_items_up_to_the_largest_gpu(items: int, per_block: int, blocks: int) -> None:
    assert striding_grid(items, per_block) == Grid((blocks, 1, 1), (256, 1, 1))


@pytest.mark.parametrize(
    ("array", "rows"),
    [
        (np.zeros((2, 3, 4)), Rows(1, 24, 24)),
        (np.zeros((2, 3, 10))[..., 1:5], Rows(6, 4, 10)),
        (np.zeros((2, 3, 4, 10))[..., 1:2], Rows(24, 1, 10)),
        (np.zeros((5, 1, 1, 10))[..., :3], Rows(5, 3, 10)),
        (np.zeros((1, 1, 10))[..., :3], Rows(1, 3, 3)),
        (np.zeros((4, 3, 10))[:, :2, :3], None),
        (np.zeros((4, 3)).T, None),
        (np.zeros((4, 10))[:, ::2], None),
        (np.zeros((4, 3))[::-1, :2], None),
    ],
)
def test_rows(array: np.ndarray[Any, Any], rows: Rows | None) -> None:
    assert rows_of(array) == rows


def test_channel_pitch() -> None:
    assert channel_pitch(np.zeros((2, 3, 4, 5))) == 5
    assert channel_pitch(np.zeros((2, 3, 4, 5))[..., 1:3]) == 5
    with pytest.raises(UsageError, match="not N, H, W, C row by row"):
        channel_pitch(np.zeros((3, 4, 2, 5)).transpose(2, 0, 1, 3))
