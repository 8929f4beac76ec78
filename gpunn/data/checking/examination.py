"""What a check learns of each picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gpunn.data.dataset import Dataset, EncodedDataset
from gpunn.data.decoding.picture import Decoder, check_picture
from gpunn.data.reasons import reason
from gpunn.errors import DataError

DIGEST_BYTES = 16
"""Length of the BLAKE2b hashes by which pictures are compared (RFC 7693)."""


@dataclass(frozen=True)
class Finding:
    """One picture.

    Attributes:
        index: its place in the data set.
        digest: BLAKE2b-128 of its file, or of shape and pixels where there is no file; empty for a bad picture.
        size: height, width, channels; zeros for a bad picture.
        reason: why it cannot be used; None for a good picture.
    """

    index: int
    digest: bytes = b""
    size: tuple[int, int, int] = (0, 0, 0)
    reason: str | None = None


@dataclass(frozen=True)
class Findings:
    """All pictures of a data set; row i is picture i.

    Attributes:
        digests: uint8, (N, 16); zeros for a bad picture.
        sizes: int32, (N, 3): height, width, channels; zeros for a bad picture.
        reasons: why pictures are bad, by index.
    """

    digests: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: int) -> Findings:
        """Room for so many pictures."""
        return cls(np.zeros((samples, DIGEST_BYTES), np.uint8), np.zeros((samples, 3), np.int32))

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """(N,), where a picture was looked at and can be used."""
        return self.sizes[:, 0] > 0

    def note(self, finding: Finding) -> None:
        """Keep what was found."""
        if finding.reason is not None:
            self.reasons[finding.index] = finding.reason
        else:
            self.digests[finding.index] = np.frombuffer(finding.digest, np.uint8)
            self.sizes[finding.index] = finding.size


@runtime_checkable
class VerifiableDataset(Dataset, Protocol):
    """A data set that knows what its pixels should be."""

    def verify(self, index: int) -> bool:
        """Whether the pixels of a picture are those that were stored."""


def examine_file(dataset: EncodedDataset, decoder: Decoder, index: int) -> Finding:
    """Reads and decodes an image file; whatever goes wrong is in the finding."""
    try:
        encoded = dataset.read(index)
        height, width, channels = decoder.open(encoded).pixels().shape
    except Exception as error:
        return Finding(index, reason=reason(dataset, index, error))
    return Finding(index, hashlib.blake2b(encoded, digest_size=DIGEST_BYTES).digest(), (height, width, channels))


def examine_pixels(dataset: Dataset, index: int) -> Finding:
    """Reads a picture that is stored as pixels; whatever goes wrong is in the finding."""
    try:
        pixels = dataset.load(index)
        check_picture(pixels)
        if isinstance(dataset, VerifiableDataset) and not dataset.verify(index):
            raise DataError("its pixels are not those that were stored; make the file anew")
    except Exception as error:
        return Finding(index, reason=reason(dataset, index, error))
    height, width, channels = pixels.shape
    digest = hashlib.blake2b(f"{height}x{width}x{channels} ".encode("ascii"), digest_size=DIGEST_BYTES)
    digest.update(np.ascontiguousarray(pixels).data)
    return Finding(index, digest.digest(), (height, width, channels))
