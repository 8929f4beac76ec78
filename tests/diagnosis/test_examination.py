"""The whole examination: a machine on which all is well, and areas that meet what nobody thought of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpunn.diagnosis.examination import AREAS, Area, examine
from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.situation import Situation
from tests.diagnosis.machines import Made, compiler, failing


def test_a_machine_without_a_gpu_is_fine(made: Made) -> None:
    findings = made.findings()
    assert [(each.status, each.remedy) for each in findings] == [("ok", None)] * len(findings)
    subjects = [each.subject for each in findings]
    assert subjects == sorted(subjects, key=subjects.index)
    assert {"Python", "libraries", "BLAS", "cores", "GPU", "CuPy", "compiler", "emulator", "cache", "clock"} < set(
        subjects
    )
    assert made.found("GPU").text == "none here: gpunn computes on the CPU"


def test_a_machine_with_a_gpu_is_fine(made: Made) -> None:
    made.driver()
    made.cupy("cupy-cuda13x")
    made.answers["compiler"] = compiler(architectures={"90": {"name": "90"}})
    assert all(each.status == "ok" for each in made.findings("cuda"))
    assert made.found("GPU").text == "NVIDIA H100 with 80.0 GiB, compute capability 9.0; driver of CUDA 13.0"
    assert "70.0 GiB of memory are free" in made.found("GPU kernels").text
    assert ("compiler", "90") in made.asked


@pytest.mark.parametrize("device", ["cpu", "emulator"])
def test_the_gpu_does_not_matter_to_other_devices(made: Made, device: str) -> None:
    made.driver(version=11040)
    assert all(each.status == "ok" for each in made.findings(device))
    assert "GPU" not in {each.subject for each in made.findings(device)}


def test_an_area_that_raises_is_a_problem_and_the_others_go_on(made: Made) -> None:
    def breaking(situation: Situation) -> Iterator[Finding]:
        yield Finding("first", "ok", "fine")
        raise ZeroDivisionError("halves of nothing")

    def whole(situation: Situation) -> Iterator[Finding]:
        yield Finding("last", "ok", "fine")

    findings = examine(made.machine, areas=[Area("odd", breaking), Area("last", whole)])
    assert [(each.subject, each.status) for each in findings] == [("first", "ok"), ("odd", "problem"), ("last", "ok")]
    assert findings[1].text == "it cannot be examined (ZeroDivisionError: halves of nothing)"


def test_no_probe_that_fails_ends_the_examination(made: Made) -> None:
    for probe in made.answers:
        made.answers[probe] = failing("no answer within 120 s")
    assert any(each.status == "problem" for each in made.findings())
    for probe in made.answers:
        made.answers[probe] = PermissionError(13, "Permission denied")
    assert any(each.status == "problem" for each in made.findings())


def test_what_a_broken_numpy_takes_with_it_is_left_out(made: Made) -> None:
    def libraries(*modules: str) -> dict[str, dict[str, str]]:
        return {"failed": {module: "ImportError: no umath" for module in modules if module not in ("tqdm", "typer")}}

    made.answers["libraries"] = libraries
    findings = made.findings()
    broken = [each for each in findings if each.status == "problem"]
    assert "numpy" in {each.subject for each in broken}
    assert not {"ml_dtypes", "safetensors", "matplotlib"} & {each.subject for each in broken}
    rest = made.found("the rest")
    assert rest.status == "warning"
    left_out = rest.text.split(": ")[-1].split(", ")
    assert left_out == [area.name for area in AREAS if area.needs_gpunn]
