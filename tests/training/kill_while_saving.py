"""Saves a checkpoint again and again, killed by SIGKILL at one system call after the other.

Run as a program with an empty folder and "link" or "copy" (a file system without hard links); prints one JSON line
per killed save: what could be loaded afterwards. Each save runs in a forked child, over a folder that holds epochs
1 (previous, best) and 2 (last); the child saves epoch 3 as last and best.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from gpunn.training.checkpoint_folder import CheckpointFolder
from tests.training.samples import assert_is_epoch, manifest_of, tensors_of

CALLS = ("mkdir", "open", "write", "fsync", "close", "link", "replace", "unlink", "ftruncate")


def kill_at(number: int) -> None:
    """From now on the process dies right before its system call of this number; a write leaves half of its bytes."""
    calls = count(1)

    def deadly(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                if name == "write":
                    descriptor, piece = arguments
                    call(descriptor, piece[: len(piece) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name), name))
    fcntl.flock = deadly(fcntl.flock, "flock")


def refuse_links() -> None:
    def link(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    os.link = link


def killed_in_child(folder: Path, number: int) -> bool:
    child = os.fork()
    if child == 0:
        kill_at(number)
        CheckpointFolder(folder).save(tensors_of(3), manifest_of(3), is_best=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "saving failed"
    return os.WIFSIGNALED(status)


def examine(folder: Path) -> dict[str, Any]:
    checkpoints = CheckpointFolder(folder)
    tensors, manifest, note = checkpoints.load_latest()
    epoch = manifest.progress["epoch"]
    assert_is_epoch(epoch, tensors, manifest)
    best_tensors, best_manifest = checkpoints.load_best()
    best = best_manifest.progress["epoch"]
    assert_is_epoch(best, best_tensors, best_manifest)
    checkpoints.save(tensors_of(4), manifest_of(4), is_best=False)
    shutil.copyfile(checkpoints.previous, checkpoints.last)
    previous = checkpoints.load_latest()[1].progress["epoch"]
    return {"last": epoch, "note": note, "best": best, "previous": previous, "files": sorted(os.listdir(folder))}


def main(root: Path, links: str) -> None:
    if links == "copy":
        refuse_links()
    before = CheckpointFolder(root / "before")
    before.save(tensors_of(1), manifest_of(1), is_best=True)
    before.save(tensors_of(2), manifest_of(2), is_best=False)
    for number in count(1):
        folder = root / f"save-{number}"
        shutil.copytree(before.folder, folder)
        killed = killed_in_child(folder, number)
        print(json.dumps({"killed": killed, **examine(folder)}))
        shutil.rmtree(folder)
        if not killed:
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
