"""Does a network learn anything, or does it guess? The signs by which a person would know, epoch by epoch."""

from __future__ import annotations

from math import log

from gpunn.training.history import EpochRecord

#: A loss this near to ln(classes), relatively, after a whole epoch, has learned nothing.
STUCK_TOLERANCE = 0.005
#: So many epochs in a row with hits below this multiple of chance have learned nothing, whatever the loss does.
EPOCHS_AT_CHANCE = 2
CHANCE_FACTOR = 1.1

REMEDY = "Try a learning rate ten times lower or higher, or a longer warm-up"


class Guessing:
    """Watches the records of a run that tells classes apart.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._epochs_at_chance = 0

    def warnings(self, record: EpochRecord) -> list[str]:
        """What to tell after one more epoch; usually nothing."""
        if self._classes < 2:
            return []
        signs = []
        if self._loss_is_that_of_chance(record):
            signs.append(f"the loss sits at {record.train_loss:.3f} = ln({self._classes}): the network guesses")
        self._epochs_at_chance = self._epochs_at_chance + 1 if self._hits_are_those_of_chance(record) else 0
        if self._epochs_at_chance == EPOCHS_AT_CHANCE:
            signs.append(
                f"for {EPOCHS_AT_CHANCE} epochs no more images were recognised than by guessing 1 of {self._classes}"
            )
        return [f"{sign}. {REMEDY}" for sign in signs]

    def _loss_is_that_of_chance(self, record: EpochRecord) -> bool:
        chance = log(self._classes)
        # Training alone may sit there in an epoch of few updates: it measures the weights before each of them.
        losses = (record.train_loss, record.validation_loss)
        return all(loss is not None and abs(loss - chance) < STUCK_TOLERANCE * chance for loss in losses)

    def _hits_are_those_of_chance(self, record: EpochRecord) -> bool:
        rates = (record.train_top1, record.validation_top1)
        return all(rate is not None and rate <= CHANCE_FACTOR / self._classes for rate in rates)
