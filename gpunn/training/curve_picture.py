"""The picture of a run's learning curves, which costs no training where it cannot be drawn."""

from __future__ import annotations

from collections.abc import Sequence

from gpunn.data.names import printable
from gpunn.drawing import no_drawing
from gpunn.training.curves import draw_curves
from gpunn.training.history import EpochRecord
from gpunn.training.observer import Observer
from gpunn.training.run_folder import RunFolder


class CurvePicture:
    """Draws the curves of one run and tells, once, what stands in the way.

    Args:
        run: its folder.
        observer: who is told.

    Attributes:
        trouble: why the folder has no picture of the latest epoch's curves; None where it has.
    """

    def __init__(self, run: RunFolder, observer: Observer) -> None:
        self._run = run
        self._observer = observer
        self.trouble = no_drawing()

    def announce(self) -> None:
        """Tell before the first epoch what is known then."""
        if self.trouble is not None:
            self._observer.on_note(f"the curves will not be drawn: {self.trouble}")

    def draw(self, records: Sequence[EpochRecord]) -> None:
        """Put the curves of these epochs in the place of the earlier ones, if possible."""
        try:
            draw_curves(records, self._run.curves, printable(self._run.path.name))
        except Exception as error:
            # Also matplotlib's own cache may be damaged, and then it fails in ways listed nowhere.
            trouble = no_drawing() or printable(str(error)) or type(error).__name__
            if trouble != self.trouble:
                self._observer.on_note(f"the curves could not be drawn: {trouble}")
            self.trouble = trouble
        else:
            self.trouble = None
