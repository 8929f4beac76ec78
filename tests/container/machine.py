"""What this machine has for building images without a Docker engine, and how it reaches the registries.

The repository knows no addresses: they are those that apt and pip use here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: Where the certificates of authorities are inside, as Debian has them.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

_PROGRAMS = ("buildah", "debootstrap", "unshare", "nsenter", "chroot", "apt-get", "apt-config")
_KEPT_OF_PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
_KEPT_OF_APT = re.compile(r"Acquire::(\w+::)?(Proxy|Check-|Retries|https?::.*(Proxy|Verify|Timeout))", re.IGNORECASE)


def lacking() -> str | None:
    """Why no image can be built and run here; None when one can."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "only root can"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"no namespaces: {tried.stderr.strip()}"
    if next(_mirrors(), None) is None:
        return "apt knows no mirror of Debian; perhaps apt-get update was not run yet"
    return None


def debian_mirror() -> str:
    """The address that apt has Debian's packages from."""
    return next(_mirrors())


def mounts(folder: Path) -> list[str]:
    """What `buildah --volume` takes, so that apt and pip reach their registries as they do on this machine.

    Args:
        folder: for the files that are mounted.
    """
    apt, pip = folder / "apt.conf", folder / "pip.conf"
    apt.write_text("".join(_apt_settings()))
    pip.write_text("".join(["[global]\n", f"cert = {CERTIFICATES}\n", *_pip_settings()]))
    volumes = [f"{apt}:/etc/apt/apt.conf.d/99machine:ro", f"{pip}:/etc/pip.conf:ro"]
    trusted = ssl.get_default_verify_paths().cafile
    if trusted is not None:
        volumes.append(f"{Path(trusted).resolve()}:{CERTIFICATES}:ro")
    return volumes


def _mirrors() -> Iterator[str]:
    for line in _printed("apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)"):
        origin, component, address = line.split("|")
        if (origin, component) == ("Debian", "main") and "security" not in address:
            yield address


def _apt_settings() -> Iterator[str]:
    for line in _printed("apt-config", "dump", "--no-empty", "Acquire"):
        if _KEPT_OF_APT.match(line):
            yield f"{line}\n"


def _pip_settings() -> Iterator[str]:
    """What pip was told by files and by the environment; places on this machine's disks are not there inside."""
    found = {}
    for line in _printed(sys.executable, "-m", "pip", "config", "list"):
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = " ".join(
            word for word in str(ast.literal_eval(value)).split() if not word.startswith(("file:", "/"))
        )
    for name, value in found.items():
        if name in _KEPT_OF_PIP and value:
            yield f"{name} = {value}\n"


def _printed(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
