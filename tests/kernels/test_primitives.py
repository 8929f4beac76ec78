"""The primitives of kernels/primitives*.cuh, to the bit, and the instructions they become."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from gpunn.backend.cuda.compiling.compile import compile_kernels
from gpunn.backend.cuda.device import CudaDevice
from gpunn.backend.cuda.launching.launch import Grid
from gpunn.backend.cuda.launching.source import KernelSource, packaged_source
from gpunn.backend.cuda.self_test import FILE, primitive_failures
from gpunn.errors import DeviceError


def test_every_primitive_is_right(every_way: CudaDevice) -> None:
    assert primitive_failures(every_way) == []


def test_kernels_of_the_self_test_are_all_launched(fast: CudaDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = set()
    launch = fast.launcher.launch_from
    monkeypatch.setattr(fast.launcher, "launch_from", lambda *a, **n: (launched.add(a[1]), launch(*a, **n)))
    primitive_failures(fast)
    assert launched == set(packaged_source(FILE).signatures)


@pytest.mark.parametrize("kernel", ["load_matrices", "multiply"])
def test_half_a_warp_is_refused(every_way: CudaDevice, kernel: str) -> None:
    arguments: dict[str, object] = {
        parameter.name: np.zeros(512, {"int": np.int32, "unsigned": np.uint32}.get(parameter.type, np.float32))
        for parameter in packaged_source(FILE).signatures[kernel].parameters
    }
    with pytest.raises(DeviceError, match=r"primitives_test\.cu:\d+: \S+ needs all 32 lanes of a warp"):
        every_way.launcher.launch(FILE, kernel, Grid((1, 1, 1), (16, 1, 1)), arguments, {"ELEMENT": "float"})


def launch_instead(device: CudaDevice, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the device launch this text in the self test's place."""
    (folder / FILE).write_text(text)
    source, launch_from = KernelSource(folder / FILE), device.launcher.launch_from
    monkeypatch.setattr(device.launcher, "launch", lambda file, *a, **n: launch_from(source, *a, **n))


def instructions(cubin: bytes, folder: Path) -> dict[str, Counter[str]]:
    """How often each instruction occurs in each kernel."""
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        pytest.skip("nvidia-cuda-nvdisasm is not installed")
    (disassembler,) = (file.locate() for file in files if file.name == "nvdisasm")
    path = folder / "kernels.cubin"
    path.write_bytes(cubin)
    text = subprocess.run([str(disassembler), str(path)], capture_output=True, text=True, check=True).stdout
    found: dict[str, Counter[str]] = {}
    kernel = ""
    for line in text.splitlines():
        if section := re.match(r"\.text\.(\w+):", line):
            kernel = section[1]
        elif instruction := re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+ )?([A-Z][\w.]*)", line):
            found.setdefault(kernel, Counter())[instruction[1]] += 1
    return found


PRODUCTS = {"bfloat16": "HMMA.16816.F32.BF16", "float16": "HMMA.16816.F32", "float": "HMMA.1688.F32.TF32"}


@pytest.mark.parametrize("architecture", ["80", "90a", "120"])
@pytest.mark.parametrize("element", PRODUCTS)
def test_primitives_become_single_instructions(element: str, architecture: str, tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    compiled = compile_kernels(packaged_source(FILE).choose({"ELEMENT": element}), architecture)
    found = instructions(compiled.cubin, tmp_path)
    assert found["multiply"][PRODUCTS[element]] == 1
    loads = {name: count for name, count in found["load_matrices"].items() if name.startswith("LDSM")}
    assert loads == {"LDSM.16.M88.4": 1, "LDSM.16.MT88.4": 1, "LDSM.16.M88.2": 1, "LDSM.16.MT88.2": 1}
    copies = {name: count for name, count in found["copy_asynchronously"].items() if name.startswith("LDGSTS")}
    assert copies == {"LDGSTS.E": 4, "LDGSTS.E.64": 2, "LDGSTS.E.BYPASS.128": 1}
    assert found["copy_asynchronously"]["DEPBAR.LE"] == 3


def test_older_architectures_are_refused_in_words() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    with pytest.raises(DeviceError, match=r"primitives_tensor\.cuh needs sm_80 or later"):
        compile_kernels(packaged_source(FILE).choose({"ELEMENT": "float"}), "75")


@pytest.mark.parametrize(
    ("old", "new", "failure"),
    [
        ("load_matrix_x4(four, mine)", "load_matrix_x4_transposed(four, mine)", "load_matrix_x4 of bits: "),
        ("(row + i % 2 * 8)", "(row + i / 2 * 8)", "TensorCore::multiply of bfloat16: "),
        ("rows_b[lane % 16]", "rows_b[lane % 8]", "load_matrix_transposed and TensorCore::multiply of float16: "),
        ("source, piece_exists[0])", "source, true)", "copy_async<16> of bits: "),
        ("round_to_tf32(x[i])", "__float_as_uint(x[i])", "round_to_tf32 of bits: "),
        ("to_float(x[i])", "2.0f * to_float(x[i])", "to_float of float16: "),
        ("from_float<ELEMENT>(x[i])", "from_float<ELEMENT>(-x[i])", "from_float of float: "),
    ],
)
def test_a_wrong_primitive_is_named(
    fast: CudaDevice, old: str, new: str, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = packaged_source(FILE).text
    assert old in text
    launch_instead(fast, text.replace(old, new), tmp_path, monkeypatch)
    assert any(found.startswith(failure) for found in primitive_failures(fast))
