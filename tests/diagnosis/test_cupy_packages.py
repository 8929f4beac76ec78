"""CuPy: none, one, two, broken, and for another CUDA than the driver's."""

from __future__ import annotations

import pytest

from tests.diagnosis.machines import Made, failing


def test_none_is_fine_without_a_gpu(made: Made) -> None:
    assert made.found("CuPy").status == "ok"


@pytest.mark.parametrize(
    ("driver", "extra"), [(12000, "cuda12"), (12080, "cuda12"), (13000, "cuda13"), (13020, "cuda13"), (14000, "cuda13")]
)
def test_none_beside_a_gpu_is_installed_for_its_driver(made: Made, driver: int, extra: str) -> None:
    made.driver(driver)
    found = made.found("CuPy")
    assert (found.status, found.remedy) == ("warning", f'pip install "gpunn[{extra}]"')
    assert made.found("CuPy", "cuda").status == "problem"


def test_two_at_once(made: Made) -> None:
    made.cupy("cupy-cuda12x", "cupy-cuda13x")
    found = made.found("CuPy")
    assert found.status == "problem"
    assert "2 packages are installed at once" in found.text
    assert "cupy-cuda12x, cupy-cuda13x" in found.text
    assert found.remedy == 'pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install "gpunn[cuda13]"'
    made.driver(12040)
    assert made.found("CuPy").remedy == 'pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install "gpunn[cuda12]"'


def test_without_a_driver_the_newest_that_was_chosen_is_put_back(made: Made) -> None:
    made.cupy("cupy", "cupy-cuda12x")
    assert made.found("CuPy").remedy == 'pip uninstall -y cupy cupy-cuda12x && pip install "gpunn[cuda12]"'


def test_one_that_does_not_load(made: Made) -> None:
    made.cupy("cupy-cuda12x")
    made.answers["cupy"] = failing("ImportError: libcudart.so.12: cannot open")
    found = made.found("CuPy")
    assert found.status == "problem"
    assert "cupy-cuda12x does not load (ImportError: libcudart.so.12: cannot open)" in found.text
    assert found.remedy == 'pip uninstall -y cupy-cuda12x && pip install "gpunn[cuda12]"'


def test_one_that_has_lost_files(made: Made) -> None:
    made.cupy("cupy-cuda13x", missing=["cupy/_core/core.so", "cupy/cuda/stream.so"])
    found = made.found("CuPy")
    assert found.status == "problem"
    assert "it lacks 2 of its files, cupy/_core/core.so among them" in found.text
    assert found.remedy == 'pip uninstall -y cupy-cuda13x && pip install "gpunn[cuda13]"'


@pytest.mark.parametrize(
    ("package", "runtime", "driver", "extra"),
    [("cupy-cuda13x", 13000, 12040, "cuda12"), ("cupy", 13000, 12080, "cuda12")],
)
def test_one_that_is_newer_than_the_driver(made: Made, package: str, runtime: int, driver: int, extra: str) -> None:
    made.driver(driver)
    made.cupy(package)
    made.answers["cupy"] = {"version": "14.2.0", "runtime": runtime}
    found = made.found("CuPy")
    assert found.status == "problem"
    assert "the driver is too old" in found.text
    assert found.remedy == f'pip uninstall -y {package} && pip install "gpunn[{extra}]"'


@pytest.mark.parametrize(
    ("package", "driver", "status"),
    [
        ("cupy-cuda12x", 12000, "ok"),
        ("cupy-cuda12x", 13000, "ok"),
        ("cupy-cuda13x", 13000, "ok"),
        ("cupy-cuda11x", 13000, "warning"),
        ("cupy-cuda118", 12040, "warning"),
        ("cupy-rocm-7-0", 13000, "problem"),
    ],
)
def test_one_that_goes_with_the_driver_or_not(made: Made, package: str, driver: int, status: str) -> None:
    made.driver(driver)
    made.cupy(package)
    assert made.found("CuPy").status == status


def test_of_a_driver_of_cuda_11_only_the_driver_speaks(made: Made) -> None:
    made.driver(11080)
    made.cupy("cupy-cuda12x")
    assert made.found("GPU").status == "problem"
    assert made.found("CuPy").status == "ok"


def test_commands_name_the_environment_whose_pip_is_not_on_the_path(made: Made) -> None:
    made.cupy("cupy-cuda12x", "cupy-cuda13x")
    made.environment["PATH"] = str(made.root / "bin")
    python = made.python.executable
    assert made.found("CuPy").remedy == (
        f'{python} -m pip uninstall -y cupy-cuda12x cupy-cuda13x && {python} -m pip install "gpunn[cuda13]"'
    )
    del made.packages["pip"]
    made.program("uv")
    assert made.found("CuPy").remedy == (
        f"uv pip uninstall --python {python} cupy-cuda12x cupy-cuda13x && "
        f'uv pip install --python {python} "gpunn[cuda13]"'
    )


def test_a_python_of_the_system_has_to_be_told_twice(made: Made) -> None:
    made.driver()
    made.with_python(is_externally_managed=True)
    assert made.found("CuPy").remedy == 'pip install --break-system-packages "gpunn[cuda13]"'
