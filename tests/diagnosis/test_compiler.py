"""NVRTC: missing, damaged, newer than the driver, older than the GPU."""

from __future__ import annotations

import pytest

from gpunn.diagnosis.machine import Package
from tests.diagnosis.machines import Made, compiler, failing

ABSENT = failing("the compiler NVRTC is not installed (No module named 'cuda')")


def test_without_a_gpu_nobody_has_to_have_it(made: Made) -> None:
    made.answers["compiler"] = ABSENT
    found = made.found("compiler")
    assert found.status == "ok"
    assert 'pip install "gpunn[kernels]"' in found.text


def test_a_gpu_needs_it(made: Made) -> None:
    made.driver(12040)
    made.answers["compiler"] = ABSENT
    assert made.found("compiler").status == "warning"
    made.cupy("cupy-cuda12x")
    found = made.found("compiler")
    assert (found.status, found.remedy) == ("problem", 'pip install "gpunn[cuda12]"')


def test_bindings_without_the_library_they_bind(made: Made) -> None:
    made.packages["cuda-bindings"] = Package("13.5.0")
    made.answers["compiler"] = failing("the compiler NVRTC is not installed (libnvrtc.so.13: cannot open)")
    found = made.found("compiler")
    assert (found.status, found.remedy) == ("warning", 'pip install "gpunn[kernels]"')


def test_a_damaged_one_is_put_in_again(made: Made) -> None:
    made.packages |= {"cuda-bindings": Package("13.5.0"), "nvidia-cuda-nvrtc": Package("13.0.88")}
    made.answers["compiler"] = failing("its process was killed by SIGSEGV")
    found = made.found("compiler")
    assert found.status == "problem"
    assert found.remedy == (
        'pip install --force-reinstall --no-deps "cuda-bindings==13.5.0" "nvidia-cuda-nvrtc==13.0.88"'
    )


def test_one_that_is_newer_than_the_driver(made: Made) -> None:
    made.driver(12080)
    made.cupy("cupy-cuda12x")
    found = made.found("compiler")
    assert found.status == "problem"
    assert "NVRTC 13.0 makes kernels that the driver does not load: it knows CUDA 12.8" in found.text
    assert found.remedy == 'pip install "gpunn[cuda12]"'


@pytest.mark.parametrize(
    ("refused", "remedy"),
    [
        ("the GPU has compute capability 6.1; the kernels need 7.5", "gpunn train --device cpu"),
        (
            "the GPU has compute capability 13.0, which NVRTC 13.0 does not compile for",
            "pip install --upgrade nvidia-cuda-nvrtc cuda-bindings",
        ),
    ],
)
def test_gpus_that_it_compiles_nothing_for(made: Made, refused: str, remedy: str) -> None:
    made.driver()
    made.answers["compiler"] = compiler(architectures={"61": {"refused": refused}})
    found = made.found("compiler", "cuda")
    assert (found.status, found.text, found.remedy) == ("problem", refused, remedy)
