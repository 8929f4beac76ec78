"""Kernels with one barrier, commit or wait taken out: the check build must notice, or the list says why it may go.

`python -m tests.kernels.mutations` prints what it finds each time.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import kernel_folder
from gpunn.errors import DeviceError
from tests.backend.arrays import unwritten
from tests.kernels.mutations import THROUGH, Mutation, finding, mutated_source, orderings

#: What may go without notice: file and line of code, and why.
SURVIVORS: dict[tuple[str, str], str] = {
    ("reduction.cuh", "__syncthreads();  // the next call overwrites what slower warps still read"): (
        "No packaged kernel calls block_sum twice; the function promises that one may, which a test below holds it to."
    )
}
#: Of all that is taken out, the check build finds this share at least.
LEAST_KILL_RATE = 0.95

TWO_SUMS = """// Architectures: sm_75 and later
#include "primitives.cuh"
#include "reduction.cuh"
extern "C" __global__ void two_sums(OUTPUT int* sums) {
  sums[threadIdx.x] = block_sum<64>(1) + block_sum<64>(static_cast<int>(threadIdx.x));
}
"""


def survives(mutation: Mutation) -> bool:
    return (mutation.file, mutation.code) in SURVIVORS


@pytest.mark.parametrize("mutation", orderings(), ids=str)
def test_what_is_missing_is_found(mutation: Mutation) -> None:
    found = finding(mutation)
    if survives(mutation):
        assert found is None, "it is found: take it off the list of survivors"
    else:
        assert found is not None, "the exercises run without it, unnoticed"
        assert re.match(r"\w+\.cuh?:\d+(, called at \w+\.cuh?:\d+)*: ", found)


def test_kill_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """The test above holds each of them to the list, so that the list gives the rate."""
    mutations = orderings()
    surviving = [mutation for mutation in mutations if survives(mutation)]
    assert {(mutation.file, mutation.code) for mutation in surviving} == set(SURVIVORS), "one of the list is not there"
    found = len(mutations) - len(surviving)
    with capsys.disabled():
        print(f"\nof {len(mutations)} barriers, commits and waits the check build notices that {found} are missing")
    assert found / len(mutations) >= LEAST_KILL_RATE


def test_every_barrier_of_the_files_is_taken_out() -> None:
    """Counted line by line, in code and not in comments."""
    counted = 0
    for path in (*kernel_folder().glob("*.cu"), *kernel_folder().glob("*.cuh")):
        for line in path.read_text().splitlines():
            code = line.partition("//")[0].strip()
            counted += code in ("__syncthreads();", "__syncwarp();", "copy_async_commit();")
            counted += code.startswith("copy_async_wait<")
    assert counted == len(orderings())
    assert set(THROUGH) == {mutation.file for mutation in orderings() if mutation.file.endswith(".cuh")}


def test_block_sum_may_be_called_again_at_once(check: CudaDevice, tmp_path: Path) -> None:
    (mutation,) = (mutation for mutation in orderings() if survives(mutation) and mutation.file == "reduction.cuh")
    (tmp_path / "two_sums.cu").write_text(TWO_SUMS)
    sums = unwritten(check, (64,), np.int32)
    source = mutated_source(mutation, tmp_path / "two_sums.cu", tmp_path)
    with pytest.raises(DeviceError, match=r"reduction\.cuh:\d+.*: race in shared memory, write after read"):
        check.launcher.launch_from(source, "two_sums", Grid((1, 1, 1), (64, 1, 1)), {"sums": sums})
