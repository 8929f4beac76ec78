"""The image for the CPU, built and used: as it stands, not as root, and with nothing to write to but its volumes."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.container.building import Image
from tests.container.sandbox import Container, Sandbox, wait_until
from tests.training.runs import state_of

MOST_BYTES = 700e6
#: One pass over the 60,000 pictures in a few seconds.
SHORT = ("train", "--data", "fashion-mnist", "--model", "mlp", "--epochs", "1", "--batch-size", "500")


def test_it_is_small(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\ntarget cpu: {image.size / 1e6:.0f} MB, its base included")
    assert image.size < MOST_BYTES


def test_what_built_it_did_not_stay(image: Image) -> None:
    left = ("opt/pip", "source", "installed", "packages", "files", "root/.cache", "opt/gpunn/bin/pip", "usr/bin/g++")
    assert [path for path in left if (image.root / path).exists()] == []
    assert [str(path) for path in (image.root / "opt").rglob("pip*") if path.is_dir()] == []


def test_the_pictures_are_in_it_once_and_their_licence_beside_them(image: Image) -> None:
    found = sorted(path.relative_to(image.root) for path in image.root.rglob("*-ubyte*"))
    assert {str(path.parent) for path in found} == {"usr/share/datasets/fashion-mnist"}
    assert len(found) == 4
    for package in ("dataset-fashion-mnist", "tini"):
        assert "MIT" in (image.root / "usr/share/doc" / package / "copyright").read_text()


def test_only_the_volumes_can_be_written(sandbox: Sandbox) -> None:
    program = (
        "import os, json\n"
        "print(json.dumps([os.getuid(), os.getgroups(), sorted(folder for folder, _, _ in os.walk('/')"
        " if not folder.startswith('/proc') and os.access(folder, os.W_OK))]))"
    )
    done = sandbox.run_program("python", "-c", program)
    uid, groups, writable = json.loads(done.stdout)
    assert uid != 0
    assert 0 not in groups
    assert writable == ["/cache", "/dev/shm", "/runs"]


def test_it_trains_on_all_pictures_and_evaluates_what_it_trained(sandbox: Sandbox) -> None:
    trained = sandbox.run(*SHORT)
    assert trained.returncode == 0, trained.stdout
    assert "60000 training images" in trained.stdout
    assert "warning" not in trained.stdout
    (run,) = (sandbox.volumes / "runs").iterdir()
    assert {path.name for path in run.iterdir()} == {
        *("checkpoints", "config.toml", "curves.png", "metrics.csv", "metrics.jsonl")
    }
    assert (run / "checkpoints/best.safetensors").stat().st_uid == int(sandbox.user.split(":")[0])
    assert json.loads((run / "metrics.jsonl").read_text())["validation_top1"] > 0.7
    evaluated = sandbox.run("evaluate", f"runs/{run.name}")
    assert evaluated.returncode == 0, evaluated.stdout


def test_any_other_user_can_train_too(sandbox: Sandbox) -> None:
    trained = replace(sandbox, user="54321:54321").run(*SHORT)
    assert trained.returncode == 0, trained.stdout
    assert "warning" not in trained.stdout
    assert "could not be drawn" not in trained.stdout
    (run,) = (sandbox.volumes / "runs").iterdir()
    assert run.stat().st_uid == 54321


def test_what_it_does_by_itself_is_healthy_until_it_hangs_and_stops_with_a_snapshot(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = sandbox.image.configuration
    check = configuration["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    with sandbox.start([*configuration["Entrypoint"], *configuration["Cmd"]]) as container:
        heartbeats = (sandbox.volumes / "runs").glob
        wait_until(lambda: any(heartbeats("*/heartbeat")), "a run begins")
        (heartbeat,) = heartbeats("*/heartbeat")
        os.utime(heartbeat, (0, 0))
        wait_until(lambda: heartbeat.stat().st_mtime > 0, "a step is made")
        healthy = container.execute(*check[1:])
        assert (healthy.returncode, healthy.stdout) == (0, f"/runs/{heartbeat.parent.name}: goes on\n")
        trainer = container.processes[-1]
        os.kill(trainer, signal.SIGSTOP)
        os.utime(heartbeat, (0, 0))
        hanging = container.execute(*check[1:])
        assert hanging.returncode == 1, hanging.stdout
        assert "no step for" in hanging.stdout
        os.kill(trainer, signal.SIGCONT)
        status, printed = container.stop()
    assert status == 143, printed
    assert "a snapshot was written" in printed
    assert state_of(heartbeat.parent)["progress"]["step"] > 0
    assert not heartbeat.exists()


def test_a_container_in_which_nothing_trains_is_healthy(sandbox: Sandbox) -> None:
    done = sandbox.run_program(*sandbox.image.configuration["Healthcheck"]["Test"][1:])
    assert (done.returncode, done.stdout) == (0, "nothing is training in /runs\n")


def test_a_signal_is_heard_before_training_begins(sandbox: Sandbox) -> None:
    configuration = sandbox.image.configuration

    def has_begun(container: Container) -> bool:
        return [Path(f"/proc/{number}/comm").read_text().strip() for number in container.processes][1:] == ["gpunn"]

    with sandbox.start([*configuration["Entrypoint"], *configuration["Cmd"]]) as container:
        wait_until(lambda: has_begun(container), "process 1 has started gpunn")
        status, printed = container.stop()
    assert status == 143, printed


def test_processes_that_others_left_are_reaped(sandbox: Sandbox) -> None:
    program = (
        "import os, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    if os.fork() == 0: os._exit(0)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "def dead(): return [n for n in os.listdir('/proc') if n.isdigit() and n not in ('1', str(os.getpid()))]\n"
        "end = time.monotonic() + 60\n"
        "while dead() and time.monotonic() < end: time.sleep(0.05)\n"
        "print(dead())"
    )
    reaper = sandbox.image.configuration["Entrypoint"][:-1]
    assert sandbox.run_program(*reaper, "python", "-c", program).stdout == "[]\n"


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::", {"cpu.max": "100000 100000\n"}),
        (":cpu", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}),
    ],
    ids=["version 2", "version 1"],
)
def test_a_quota_of_one_core_gives_one_thread(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, groups: str, files: dict[str, str]
) -> None:
    """The files are as an engine gives them; that the kernel keeps the quota is not tried."""
    if groups not in Path("/proc/self/cgroup").read_text():
        pytest.skip("this kernel runs with the other version of control groups")
    system = tmp_path_factory.mktemp("sys")
    system.chmod(0o755)
    for name, content in files.items():
        file = system / "fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    program = "from gpunn.cores import available_cores; print(available_cores())"
    done = replace(sandbox, system=system).run_program("python", "-c", program)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--version",), "gpunn "),
        (("summary", "alexnet"), "61,100,840"),
        (("models",), "vgg16"),
        (("doctor",), "no problems"),
        (("time", "lenet", "--devices", "cpu", "--batch", "16"), "images/s"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_commands_work_in_it(sandbox: Sandbox, arguments: tuple[str, ...], expected: str) -> None:
    done = sandbox.run(*arguments)
    assert done.returncode == 0, done.stdout
    assert expected in done.stdout
