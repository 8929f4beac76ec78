"""The CUDA backend on a fake CuPy: memory, order on the stream, arguments by value, and errors in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpunn.backend import cuda
from gpunn.backend.attributes import RELU
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.gpu.cupy_memory import CupyMemory
from gpunn.backend.cuda.gpu.gpu import Gpu
from gpunn.backend.cuda.gpu.installation import Installation
from gpunn.backend.cuda.gpu.staging import Staging
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource
from gpunn.backend.cuda.opening import open_cuda
from gpunn.errors import DeviceError, MemoryExhaustedError, UsageError
from gpunn.geometry import Pair, Pool2dGeometry
from gpunn.precision import PRECISIONS
from gpunn.training.devices import check_precision
from tests.backend.arrays import integers, reals, upload
from tests.backend.cuda.fake_cupy import LARGEST_SHARED, CUDADriverError, CUDARuntimeError, Machine
from tests.backend.emulator.devices import FAST, emulator


@pytest.fixture
def memory(gpu: Gpu) -> CupyMemory:
    return CupyMemory(gpu)


class TestMemory:
    def test_it_is_zero_and_aligned(self, memory: CupyMemory) -> None:
        taken = memory.allocate(1000)
        assert memory.address(taken) % 256 == 0
        assert not memory.download(taken).any()

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bfloat16"])
    def test_values_come_back(self, memory: CupyMemory, dtype: str) -> None:
        values = integers(1, (3, 4, 5), np.float64)
        kind = np.dtype(dtype)
        values = np.abs(values).astype(kind)
        array = memory.view(memory.allocate(1024), 256, values.shape, kind)
        memory.upload(array, values)
        found = memory.download(array)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, values)

    def test_numbers_are_converted_on_their_way(self, memory: CupyMemory) -> None:
        array = memory.view(memory.allocate(64), 0, (4,), np.dtype(np.float32))
        memory.upload(array, np.array([1.0, 2.5, -3.0, 0.1]))
        np.testing.assert_array_equal(memory.download(array), np.array([1, 2.5, -3, 0.1], np.float32))

    def test_slices_of_channels_go_both_ways(self, memory: CupyMemory) -> None:
        wide = memory.view(memory.allocate(4096), 0, (2, 3, 10), np.dtype(np.float32))
        before, part, other = (
            reals(seed, shape, np.float32) for seed, shape in enumerate(((2, 3, 10), *[(2, 3, 4)] * 2))
        )
        memory.upload(wide, before)
        memory.upload(wide[..., 2:6], part)
        dense = memory.view(memory.allocate(4096), 0, (2, 3, 4), np.dtype(np.float32))
        memory.upload(dense, other)
        memory.copy(wide[..., 6:10], dense)
        memory.copy(dense, wide[..., 2:6])
        expected = before.copy()
        expected[..., 2:6], expected[..., 6:10] = part, other
        np.testing.assert_array_equal(memory.download(wide), expected)
        np.testing.assert_array_equal(memory.download(wide[..., 2:6]), part)
        np.testing.assert_array_equal(memory.download(dense), part)

    def test_what_is_empty_is_not_copied(self, memory: CupyMemory) -> None:
        array = memory.view(memory.allocate(0), 0, (0,), np.dtype(np.float32))
        memory.upload(array, np.empty(0, np.float32))
        assert memory.download(array).shape == (0,)

    def test_a_copy_of_another_type_is_refused(self, memory: CupyMemory) -> None:
        taken = memory.allocate(64)
        with pytest.raises(UsageError, match=r"y is float32 of shape \(4,\), x is int32"):
            memory.copy(memory.view(taken, 0, (4,), np.dtype("f4")), memory.view(taken, 0, (4,), np.dtype("i4")))

    def test_the_host_array_may_change_at_once(self, memory: CupyMemory, gpu: Gpu) -> None:
        array = memory.view(memory.allocate(64), 0, (4,), np.dtype(np.int32))
        values = np.arange(4, dtype=np.int32)
        memory.upload(array, values)
        values[:] = -1
        assert memory.download(array).tolist() == [0, 1, 2, 3]

    def test_arrays_of_others_are_told_apart(self, memory: CupyMemory, machine: Machine, gpu: Gpu) -> None:
        taken = memory.allocate(64)
        assert memory.owns(taken)
        assert not memory.owns(np.zeros(4))
        machine.gpus = 2
        assert not CupyMemory(Gpu(gpu.cupy, 1)).owns(taken)

    def test_what_is_free_is_told_when_there_is_not_enough(self, memory: CupyMemory, machine: Machine) -> None:
        taken = memory.allocate(2**28)
        assert memory.free_bytes() == 2**30 - 2**28
        with pytest.raises(MemoryExhaustedError, match=r"cuda:0 cannot give 1\.0 GiB: 768\.0 MiB of 1\.0 GiB are free"):
            memory.allocate(2**30)
        del taken
        assert memory.free_bytes() == 2**30


def test_staged_values_hold_until_they_are_copied(gpu: Gpu, machine: Machine) -> None:
    """Many small uploads through two small halves: none may overwrite one that the GPU has still to read."""
    memory = CupyMemory(gpu, Staging(gpu, half_bytes=256))
    arrays = [memory.view(memory.allocate(64), 0, (16,), np.dtype(np.int32)) for _ in range(20)]
    for number, array in enumerate(arrays):
        memory.upload(array, np.full(16, number, np.int32))
    for number, array in enumerate(arrays):
        assert memory.download(array).tolist() == [number] * 16
    large = memory.view(memory.allocate(1024), 0, (256,), np.dtype(np.int32))
    memory.upload(large, np.arange(256, dtype=np.int32))
    assert not gpu.stream.waiting, "the copy would read memory that was given back"
    assert memory.download(large).tolist() == list(range(256))
    assert [half.size for half in machine.pinned] == [256, 256]


def test_kernels_compute_what_they_compute_in_the_emulator(fake_device: CudaDevice) -> None:
    values = reals(1, (2, 3, 4, 5), np.float32)
    with emulator(FAST) as emulated:
        expected = upload(emulated, np.zeros_like(values))
        cuda.activation_forward(emulated, expected, upload(emulated, values), RELU)
    found = upload(fake_device, np.full_like(values, np.nan))
    cuda.activation_forward(fake_device, found, upload(fake_device, values), RELU)
    np.testing.assert_array_equal(fake_device.download(found), expected)


def test_structures_are_passed_by_value(fake_device: CudaDevice) -> None:
    geometry = Pool2dGeometry(2, 5, 6, 3, 2, 3, Pair(2, 1))
    values = integers(1, (2, 5, 6, 3), np.float32) * 6
    with emulator(FAST) as emulated:
        expected = upload(emulated, np.zeros((2, geometry.P, geometry.Q, 3), np.float32))
        cuda.mean_pool2d_forward(emulated, expected, upload(emulated, values), geometry)
    found = upload(fake_device, np.full(expected.shape, np.nan, np.float32))
    cuda.mean_pool2d_forward(fake_device, found, upload(fake_device, values), geometry)
    np.testing.assert_array_equal(fake_device.download(found), expected)
    assert expected.any()


def test_a_kernel_is_compiled_and_loaded_once_for_the_gpu(fake_device: CudaDevice, machine: Machine) -> None:
    x = upload(fake_device, reals(1, (2, 3, 4, 5), np.float32))
    for _ in range(3):
        cuda.activation_forward(fake_device, x, x, RELU)
    fake_device.synchronize()
    assert len(machine.loaded) == 1
    assert machine.loaded[0].endswith(b"|90")
    assert len(machine.launched) == 3


@pytest.mark.parametrize(
    ("capability", "compiled_for"), [("75", b"75"), ("89", b"89"), ("121", b"121"), ("122", b"121")]
)
def test_code_is_compiled_for_the_gpu_or_the_one_before_it(
    machine: Machine, request: pytest.FixtureRequest, capability: str, compiled_for: bytes
) -> None:
    machine.capability = capability
    device: CudaDevice = request.getfixturevalue("fake_device")
    x = upload(device, reals(1, (4, 5), np.float32))
    cuda.activation_forward(device, x, x, RELU)
    assert machine.loaded[0].endswith(b"|" + compiled_for)


EXAMPLE = """
// Architectures: sm_{lowest} and later
extern "C" __global__ void example(OUTPUT float* y, OPTIONAL const float* x, float factor, long long step) {{}}
"""


def launch_example(device: CudaDevice, folder: Path, *, shared: int = 0, lowest: int = 75) -> None:
    path = folder / f"example{lowest}.cu"
    path.write_text(EXAMPLE.format(lowest=lowest))
    y = device.view(device.allocate(64), 0, (16,), np.dtype(np.float32), "plain")
    device.launcher.launch_from(
        KernelSource(path),
        "example",
        Grid((2, 3, 1), (32, 2, 1), shared),
        {"y": y, "x": None, "factor": 0.1, "step": 2**40},
    )
    device.synchronize()


@pytest.fixture
def idle(fake_device: CudaDevice, machine: Machine) -> CudaDevice:
    """A device whose kernels do nothing."""
    machine.kernel = lambda launched: None
    return fake_device


def test_grid_and_arguments_arrive_in_their_types(idle: CudaDevice, machine: Machine, tmp_path: Path) -> None:
    launch_example(idle, tmp_path)
    (launched,) = machine.launched
    assert (launched.grid, launched.threads, launched.shared) == ((2, 3, 1), (32, 2, 1), 0)
    _, x, factor, step = launched.arguments
    assert x is None
    assert (factor.dtype, factor.tobytes()) == (np.float32, np.float32(0.1).tobytes())
    assert (step.dtype, int(step)) == (np.int64, 2**40)


def test_much_shared_memory_is_asked_for(idle: CudaDevice, machine: Machine, tmp_path: Path) -> None:
    launch_example(idle, tmp_path, shared=48 * 1024)
    assert machine.allowed_shared == {}
    for size in (100_000, LARGEST_SHARED, 60_000):
        launch_example(idle, tmp_path, shared=size)
    assert list(machine.allowed_shared.values()) == [LARGEST_SHARED]
    assert [launched.shared for launched in machine.launched] == [48 * 1024, 100_000, LARGEST_SHARED, 60_000]


def test_more_shared_memory_than_there_is(idle: CudaDevice, machine: Machine, tmp_path: Path) -> None:
    words = r"kernel example wants 180000 bytes of shared memory a block; cuda:0 has 166912"
    with pytest.raises(DeviceError, match=words):
        launch_example(idle, tmp_path, shared=180_000)
    assert machine.allowed_shared == {}


def test_a_kernel_for_newer_gpus_is_refused(machine: Machine, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    machine.capability = "75"
    device: CudaDevice = request.getfixturevalue("idle")
    with pytest.raises(DeviceError, match=r"example80\.cu needs compute capability 8\.0 or later; cuda:0 has 7\.5"):
        launch_example(device, tmp_path, lowest=80)
    assert machine.loaded == []


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (
            "launchKernel",
            CUDADriverError(719, "CUDA_ERROR_LAUNCH_FAILED: x"),
            r"a kernel on cuda:0 failed.*LAUNCH_FAILED",
        ),
        ("synchronize", CUDARuntimeError(700, "cudaErrorIllegalAddress: x"), "kernel on cuda:0 failed.*while waiting"),
        (
            "synchronize",
            CUDARuntimeError(46, "cudaErrorDevicesUnavailable: x"),
            "cuda:0 was lost.*Unavailable.*--resume",
        ),
        ("malloc", CUDARuntimeError(999, "cudaErrorUnknown: x"), "cuda:0 was lost while allocating.*nvidia-smi"),
        (
            "moduleLoadData",
            CUDADriverError(209, "NO_BINARY_FOR_GPU"),
            "CUDA refuses starting kernel example.*NO_BINARY",
        ),
    ],
)
def test_errors_of_cuda_become_words(
    idle: CudaDevice, machine: Machine, tmp_path: Path, function: str, error: Exception, words: str
) -> None:
    machine.failing[function] = error
    with pytest.raises(DeviceError, match=words) as raised:
        launch_example(idle, tmp_path)
    assert raised.value.exit_code == 4


def test_memory_that_runs_out_anywhere_has_its_own_exit_status(
    idle: CudaDevice, machine: Machine, tmp_path: Path
) -> None:
    machine.failing["moduleLoadData"] = CUDADriverError(2, "CUDA_ERROR_OUT_OF_MEMORY: out of memory")
    with pytest.raises(
        MemoryExhaustedError, match=r"cuda:0 has no memory left.*while starting kernel example.*nvidia-smi"
    ):
        launch_example(idle, tmp_path)


def test_kernels_end_before_they_are_unloaded(fake_device: CudaDevice, machine: Machine) -> None:
    x = upload(fake_device, reals(1, (4, 5), np.float32))
    cuda.activation_forward(fake_device, x, x, RELU)
    assert not machine.launched
    fake_device.close()
    assert len(machine.launched) == 1


def test_a_gpu_that_was_lost_can_be_closed(idle: CudaDevice, machine: Machine) -> None:
    machine.failing["synchronize"] = CUDARuntimeError(46)
    idle.close()


def test_everything_happens_on_its_own_gpu(machine: Machine, gpu: Gpu) -> None:
    machine.gpus = 2
    second = CupyMemory(Gpu(gpu.cupy, 1))
    taken = second.allocate(64)
    assert second.owns(taken)
    assert machine.current == []


@pytest.mark.parametrize(
    ("capability", "precisions"), [("75", ("float32", "float16")), ("80", ("float32", "tf32", "bfloat16", "float16"))]
)
def test_precisions(machine: Machine, installation: Installation, capability: str, precisions: tuple[str, ...]) -> None:
    machine.capability = capability
    device = open_cuda(0, installation)
    assert device.precisions == precisions
    assert device.name == "cuda:0"
    for name in PRECISIONS:
        if name in precisions:
            assert check_precision(name, device).name == name
        else:
            with pytest.raises(
                DeviceError, match=f"precision {name} is not computed on cuda:0; use --precision float32"
            ):
                check_precision(name, device)
