"""The image of a target, built by buildah on a base made by debootstrap."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.container.machine import debian_mirror, mounts

SUITE = "trixie"
_BASE = f"localhost/gpunn-test-base:{SUITE}"
#: A package index may be slow, and the machine shared.
_SECONDS = 1800


@dataclass(frozen=True)
class Image:
    """An image, unpacked.

    Attributes:
        root: its files.
        configuration: as Docker knows it, Env, Entrypoint and so on.
        size: in bytes, of the disk that all files need.
    """

    root: Path
    configuration: Mapping[str, Any]
    size: int


@dataclass(frozen=True)
class Builder:
    """buildah with a store of its own, which keeps the base for the next time."""

    store: Path

    @contextmanager
    def image(self, source: Path, target: str) -> Iterator[Image]:
        """Build a target of source/Dockerfile, and forget it afterwards."""
        self._ensure_base()
        name = f"localhost/gpunn-test:{target}"
        with tempfile.TemporaryDirectory() as folder:
            volumes = [word for volume in mounts(Path(folder)) for word in ("--volume", volume)]
            self._buildah(
                *("bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--build-arg", f"BASE={_BASE}"),
                *("--target", target, "--tag", name, *volumes, str(source)),
            )
        try:
            configuration = json.loads(self._buildah("inspect", "--type", "image", name))["Docker"]["config"]
            with self._container(name) as container:
                root = Path(self._buildah("mount", container))
                yield Image(root, configuration, _bytes(root))
        finally:
            self._buildah("rmi", "--force", name)

    def _ensure_base(self) -> None:
        """Debian with Python, as small as the base that the Dockerfile names, if the store does not hold it yet."""
        if _BASE in self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            return
        with self._container("scratch") as container:
            root = Path(self._buildah("mount", container))
            _run(
                *("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"),
                *(SUITE, str(root), debian_mirror()),
            )
            for kept in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
                kept.unlink()
            self._buildah("commit", "--quiet", container, _BASE)

    @contextmanager
    def _container(self, image: str) -> Iterator[str]:
        container = self._buildah("from", "--pull-never", image)
        try:
            yield container
        finally:
            self._buildah("rm", container)

    def _buildah(self, *arguments: str) -> str:
        places = ("--root", str(self.store / "images"), "--runroot", str(self.store / "running"))
        return _run("buildah", *places, "--storage-driver", "vfs", *arguments)


def _run(*command: str) -> str:
    """What a command prints, without the line's end.

    Raises:
        RuntimeError: with the end of all it printed, when it fails.
    """
    done = subprocess.run(
        ["nice", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout.strip()


def _bytes(root: Path) -> int:
    """What all files need of the disk, as du counts; one with several names counts once."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(Path(folder, name))
            found[status.st_dev, status.st_ino] = 512 * status.st_blocks
    return sum(found.values())
