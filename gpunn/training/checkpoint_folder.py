"""The checkpoints of one run: `last`, the one before it as `previous`, and the `best`.

A save takes room for one more checkpoint than are kept. Its order is such that a process may be killed at any
system call and `last` or `previous` is whole: the new file is complete before any name is moved, `last` moves in one
step, and `previous` gives way only when the new `last` is durable. `best` comes first, so that `last` never tells of
a best that is not there.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gpunn.durable_files import (
    TEMPORARY_SUFFIX,
    flush_folder,
    link_or_copy,
    move_over,
    remove_if_there,
    temporary_beside,
    write_failure,
    write_new_file,
)
from gpunn.errors import CheckpointError
from gpunn.training.checkpoint_file import Array, UnreadableCheckpointError, checkpoint_pieces, read_checkpoint
from gpunn.training.manifest import Manifest

_LOCKS_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class CheckpointFolder:
    """Saves and loads the checkpoints of one run, in a folder that exists or can be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = folder / "last.safetensors"
        self.previous = folder / "previous.safetensors"
        self.best = folder / "best.safetensors"
        self._last_is_damaged = False

    def save(self, tensors: Mapping[str, Array], manifest: Manifest, *, is_best: bool) -> None:
        """Make this state the `last` checkpoint, the one before it `previous`, and on request also the `best`.

        Raises:
            CheckpointError: when the disk is full, read-only or failing, or another process saves here; the
                checkpoints that were there can still be loaded.
            ValueError: when a tensor has a number type that checkpoints do not hold.
        """
        pieces = checkpoint_pieces(tensors, manifest)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _only_writer(self.folder):
                self._remove_temporaries()
                self._save(pieces, is_best)
        except OSError as error:
            raise write_failure(self.last, error) from error
        self._last_is_damaged = False

    def load_latest(self) -> tuple[dict[str, Array], Manifest, str | None]:
        """Tensors and manifest of `last`, or of `previous` when `last` is missing or damaged.

        Returns:
            The tensors, the manifest, and a note to print when `last` could not be used: what is wrong with it.

        Raises:
            CheckpointError: when neither can be used.
        """
        if not self.last.exists() and not self.previous.exists():
            raise CheckpointError(
                f"there is no checkpoint in {str(self.folder)!r}; give the folder of a run that has saved one"
            )
        try:
            return *read_checkpoint(self.last), None
        except UnreadableCheckpointError as error:
            problem = error
        try:
            tensors, manifest = read_checkpoint(self.previous)
        except UnreadableCheckpointError as error:
            raise CheckpointError(
                f"no checkpoint in {str(self.folder)!r} can be used: {self.last.name}: {problem.reason}; "
                f"{self.previous.name}: {error.reason}; restore one of them from a copy, or train anew"
            ) from error
        self._last_is_damaged = True
        note = f"{str(self.last)!r} cannot be used: {problem.reason}; using {self.previous.name}{_place(manifest)}"
        return tensors, manifest, note

    def load_best(self) -> tuple[dict[str, Array], Manifest]:
        """Tensors and manifest of the best checkpoint.

        Raises:
            CheckpointError: when it cannot be used.
        """
        return read_checkpoint(self.best)

    def _save(self, pieces: list[bytes | memoryview], is_best: bool) -> None:
        aside = temporary_beside(self.last)
        kept = temporary_beside(self.previous)
        write_new_file(aside, pieces)
        try:
            if is_best:
                best = temporary_beside(self.best)
                link_or_copy(aside, best)
                move_over(best, self.best)
                flush_folder(self.folder)
            # A damaged `last` must not push out the sound `previous` that the run went on from.
            rotates = self.last.exists() and not self._last_is_damaged
            if rotates:
                link_or_copy(self.last, kept)
            move_over(aside, self.last)
            flush_folder(self.folder)
            if rotates:
                move_over(kept, self.previous)
                flush_folder(self.folder)
        except BaseException:
            remove_if_there(aside)
            remove_if_there(kept)
            raise

    def _remove_temporaries(self) -> None:
        """What writers that were killed have left; the lock says that none of them is alive."""
        for leftover in self.folder.glob(f".*{TEMPORARY_SUFFIX}"):
            remove_if_there(leftover)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system releases when the process ends in whatever way."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"another process is saving into {str(folder)!r}; end one of the two runs, a folder belongs to one"
            ) from None
        except OSError as error:
            if error.errno not in _LOCKS_UNSUPPORTED:
                raise
        yield
    finally:
        os.close(descriptor)


def _place(manifest: Manifest) -> str:
    places = [f"{key} {manifest.progress[key]}" for key in ("epoch", "step") if key in manifest.progress]
    return f" ({', '.join(places)})" if places else ""
