"""Data sets whose pictures do harm to whoever reads them. Worker processes import them from here."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.data.pictures import random_picture


class Hostile:
    """Gray pictures of 4x5 in two classes; some kill their reader, or keep it for ever.

    Args:
        samples: how many.
        deeds: what reading does, by index: the number of a signal, "exit", "hang", or the text of an error.
    """

    def __init__(self, samples: int, deeds: Mapping[int, int | str]) -> None:
        self._samples = samples
        self._deeds = dict(deeds)

    @property
    def classes(self) -> tuple[str, ...]:
        return ("ant", "bee")

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        return np.arange(self._samples, dtype=np.int32) % 2

    @property
    def targets(self) -> Mapping[str, npt.NDArray[Any]]:
        return {}

    @property
    def picture_shape(self) -> tuple[int | None, int | None, int]:
        return 4, 5, 1

    @property
    def shards(self) -> None:
        return None

    def __len__(self) -> int:
        return self._samples

    def name(self, index: int) -> str:
        return f"hostile picture {index}"

    def fingerprint(self) -> str:
        return "hostile"

    def load(self, index: int) -> npt.NDArray[np.uint8]:
        return random_picture(index, 4, 5, 1)

    def read(self, index: int) -> bytes:
        match self._deeds.get(index):
            case int(number):
                os.kill(os.getpid(), number)
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(1000)
            case str(text):
                raise RuntimeError(text)
        stream = io.BytesIO()
        Image.fromarray(self.load(index)[..., 0]).save(stream, "PNG")
        return stream.getvalue()


class Unsendable(Hostile):
    """A data set that ends the process that it is sent to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (4,)
