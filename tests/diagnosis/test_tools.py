"""g++ for the emulator, and what decodes pictures."""

from __future__ import annotations

import pytest

from tests.diagnosis.machines import Made, failing


@pytest.mark.parametrize(
    ("manager", "remedy"),
    [("apt-get", "sudo apt-get install g++"), ("dnf", "sudo dnf install gcc-c++"), ("pacman", "sudo pacman -S gcc")],
)
def test_no_compiler(made: Made, manager: str, remedy: str) -> None:
    made.remove_program("g++")
    made.remove_program("apt-get")
    made.program(manager)
    found = made.found("emulator")
    assert (found.status, found.remedy) == ("warning", remedy)
    assert made.found("emulator", "emulator").status == "problem"
    assert ("emulator",) not in made.asked


def test_a_compiler_that_builds_nothing(made: Made) -> None:
    made.answers["emulator"] = {"version": "12.2.0", "refused": "fatal error: cmath: No such file or directory"}
    found = made.found("emulator")
    assert "cannot build a library: fatal error: cmath" in found.text
    assert found.remedy == "sudo apt-get install --reinstall g++ libc6-dev"


def test_a_disk_that_may_hold_no_programs(made: Made) -> None:
    made.answers["emulator"] = {"version": "12.2.0", "does not load": "trial.so: failed to map segment"}
    assert (made.found("emulator").remedy or "").startswith('export GPUNN_CACHE="$(mktemp -d)"')


def test_what_nobody_knows_has_no_command(made: Made) -> None:
    made.answers["emulator"] = failing("no answer within 120 s")
    assert (made.found("emulator").status, made.found("emulator").remedy) == ("warning", None)


def test_another_processor(made: Made) -> None:
    made.with_python(processor="aarch64")
    assert made.found("emulator").status == "ok"
    assert made.found("emulator", "emulator").status == "problem"


def test_decoders(made: Made) -> None:
    assert made.found("pictures").text == "Pillow 13.0.0 and the fast decoder"
    made.answers["decoders"] = {"pillow": "13.0.0", "lacking": [], "fast": False}
    assert made.found("pictures").status == "ok"
    assert 'pip install "gpunn[fast]"' in made.found("pictures").text
    made.answers["decoders"] = {"pillow": "13.0.0", "lacking": [], "fast": "ImportError: libturbojpeg.so.0"}
    assert made.found("pictures").status == "problem"
    assert made.found("pictures").remedy == "pip install --force-reinstall --no-deps simplejpeg cykooz-resizer"


def test_a_pillow_without_jpeg(made: Made) -> None:
    made.answers["decoders"] = {"pillow": "13.0.0", "lacking": ["jpg", "webp"], "fast": True}
    warning, _ = [each for each in made.findings() if each.subject == "pictures"]
    assert (warning.status, warning.text) == ("warning", "Pillow 13.0.0 was built without jpg, webp")
    made.answers["decoders"] = failing("its process was killed by SIGBUS")
    assert made.found("pictures").status == "problem"
