"""What can be said of the Dockerfile by reading it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.container.dockerfile import read

ROOT = Path(__file__).parents[2]
FILE = ROOT / "Dockerfile"
DOCKERFILE = read(FILE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = ("cpu", "cuda")


def test_the_base_is_one_argument_with_a_version_down_to_the_last_number() -> None:
    names = {stage.name for stage in DOCKERFILE.stages}
    assert {stage.parent for stage in DOCKERFILE.stages} - names == {"${BASE}"}
    version = re.fullmatch(
        r"docker\.io/library/python:(\d+)\.(\d+)\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", DOCKERFILE.arguments["BASE"]
    )
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}.{version[2]}" in PROJECT["classifiers"]


def test_the_image_without_a_target_is_that_of_the_cpu() -> None:
    last = DOCKERFILE.stages[-1]
    assert (last.parent, last.instructions) == ("cpu", ())


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_a_user_by_number_who_is_not_root(target: str) -> None:
    user = DOCKERFILE.inherited(target, "USER")[0]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("instruction", ["ENTRYPOINT", "CMD", "HEALTHCHECK", "VOLUME"])
def test_programs_start_without_a_shell_between(target: str, instruction: str) -> None:
    value = DOCKERFILE.inherited(target, instruction)[0]
    assert all(isinstance(word, str) for word in json.loads(value[value.index("[") :]))


def test_the_check_of_health_is_a_module_of_the_package() -> None:
    value = DOCKERFILE.inherited("cpu", "HEALTHCHECK")[0]
    _, flag, module, folder = json.loads(value[value.index("[") :])
    assert flag == "-m"
    assert find_spec(module) is not None
    assert folder in json.loads(DOCKERFILE.inherited("cpu", "VOLUME")[0])


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_written_is_written_to_volumes(target: str) -> None:
    volumes = json.loads(DOCKERFILE.inherited(target, "VOLUME")[0])
    environment = dict(word.split("=", 1) for value in DOCKERFILE.inherited(target, "ENV") for word in value.split())
    for name in ("HOME", "TMPDIR", "GPUNN_CACHE", "MPLCONFIGDIR"):
        assert f"/{environment[name].split('/')[1]}" in volumes


def test_it_names_no_address_and_no_setting_of_a_registry() -> None:
    assert not re.search(r"https?://|index-url|trusted-host|proxy", FILE.read_text(), re.IGNORECASE)


def test_what_is_copied_is_let_through_and_nothing_else() -> None:
    """Also what lies beside it, such as a virtual environment or runs, never reaches the builder."""
    copies = [value.split() for stage in DOCKERFILE.stages for value in stage.values("COPY")]
    sources = {source.rstrip("/") for words in copies if "--from" not in words[0] for source in words[:-1]}
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == sources
    assert all((ROOT / source).exists() for source in sources)


def test_the_extras_that_it_installs_are_there() -> None:
    extras = re.findall(r"\['optional-dependencies'\]\['(\w+)'\]", FILE.read_text())
    assert extras == ["fast", "cuda13"]
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert any("cupy-cuda13x[ctk]" in wanted for wanted in PROJECT["optional-dependencies"]["cuda13"])


def test_its_label_tells_the_version_of_the_package() -> None:
    assert f"VERSION={PROJECT['version']}" in DOCKERFILE.inherited("cpu", "ARG")


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, "--no-color", str(FILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_nothing_tells_hadolint_to_look_away() -> None:
    assert "hadolint" not in FILE.read_text()
    assert not list(ROOT.glob(".hadolint*"))
