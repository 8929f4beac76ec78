"""Watches whether the numbers of a run stay finite, and says where they broke."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice

from gpunn.data.dataset import Split
from gpunn.data.loading.batch import Batch
from gpunn.data.loading.loader import Loader
from gpunn.errors import DivergedError
from gpunn.training.divergence import Suspects, report_divergence
from gpunn.training.learner import Learner
from gpunn.training.plan import Plan
from gpunn.training.progress import Progress
from gpunn.training.run_folder import RunFolder

#: Seconds between two looks: a look waits for the device.
POLL_SECONDS = 1.0


class Watch:
    """Asks the device now and then whether an update broke; those that follow one that did are void too.

    Args:
        learner: what is trained.
        plan: how many passes make an update.
        split: names the images.
        batches: of training, to read those of an update again.
        run: where the report goes; None writes none.
    """

    def __init__(self, learner: Learner, plan: Plan, split: Split, batches: Loader, run: RunFolder | None) -> None:
        self._learner = learner
        self._plan = plan
        self._split = split
        self._batches = batches
        self._run = run
        self._looked_at = time.monotonic()
        self._overflow_at: int | None = None

    @property
    def is_due(self) -> bool:
        """Whether the last look was long ago."""
        return time.monotonic() - self._looked_at > POLL_SECONDS

    def look(self, progress: Progress) -> None:
        """Wait for the device, and see whether all updates so far were finite.

        Raises:
            DivergedError: when one was not; `progress` then says that one was the last.
        """
        self._looked_at = time.monotonic()
        latched = int(self._learner.state.read_control("latched_step"))
        if latched < 0:
            self._look_at_loss_scale(progress)
            return
        self._go_back(progress, latched)
        clips = self._learner.rule is not None and self._learner.rule.clip_norm is not None
        broken = f"the loss{' or the gradient' if clips else ''} of step {progress.step + 1}"
        raise self.error(f"{broken} is not a finite number; that update was not applied", progress)

    def _look_at_loss_scale(self, progress: Progress) -> None:
        """A loss that is not scaled any more, and gradients that are not finite even so, end all progress in silence.

        Seen after one step only, it may be the last one before a scale that works.
        """
        overflows = self._learner.state.overflows_unscaled()
        before, self._overflow_at = self._overflow_at, progress.step if overflows else None
        if overflows and before not in (None, progress.step):
            self._go_back(progress, progress.step - 1)
            raise self.error("gradients are not finite even where the loss is not scaled: updates are void", progress)

    def error(self, what: str, progress: Progress, measured: Iterable[Batch] | None = None) -> DivergedError:
        """The error to raise, after the report was written; `measured` are shown where no update broke."""
        step = progress.step + (measured is None)
        suspects = Suspects(step, lambda: self._latest_update(progress), measured)
        where = report_divergence(self._learner, self._split, suspects, self._run)
        return DivergedError(
            f"{what}; the checkpoints are untouched{where}. Train with a lower learning rate, or with --set clip_norm=1"
        )

    def _go_back(self, progress: Progress, step: int) -> None:
        """Forget the void updates of this epoch that were made after the one that broke."""
        passes = self._plan.accumulate
        first = progress.step - -(-progress.batch // passes)
        progress.batch = min((step - first + 1) * passes, self._batches.steps_per_epoch)
        progress.step = step

    def _latest_update(self, progress: Progress) -> Iterator[Batch]:
        """The passes of the update made last, read anew."""
        epoch, end = progress.epoch, progress.batch
        if end == 0:
            epoch, end = epoch - 1, self._batches.steps_per_epoch
        start = (end - 1) // self._plan.accumulate * self._plan.accumulate
        return islice(self._batches.batches(epoch, start), end - start) if epoch >= 0 else iter(())
