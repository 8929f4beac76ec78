"""The labelled pictures in one tar shard of WebDataset's layout.

A sample is what shares its name up to the first dot of the last part: `000001.jpg` is a picture, `000001.cls` its label
as decimal digits; where there is no .cls, `000001.json` holds it under "label". Other members are passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from gpunn.data.names import printable
from gpunn.data.sources.class_names import CLASSES_FILE, MAXIMUM_CLASSES
from gpunn.data.sources.shards.tar_members import Member, members, open_archive
from gpunn.data.sources.tree.scan import SUFFIXES
from gpunn.errors import DataError

END_BYTES = 4096
"""How much of either end of a picture the digest of a shard takes in."""

_LABEL = re.compile(rb"\s*[+-]?[0-9]{1,18}\s*")
_MOST_JSON = 1 << 20
_NO_INTEGER = (
    f"not an integer; a label is the number of a class, from 0, and {CLASSES_FILE} beside the shards holds the names "
    "of the classes, one a line"
)


@dataclass(frozen=True, eq=False)
class ShardSamples:
    """The samples of a shard, in the order of their pictures.

    Attributes:
        offsets: int64, (N,), the first byte of each picture in the shard.
        sizes: int64, (N,), in bytes.
        labels: int32, (N,).
        names: of the pictures in the shard.
        digest: SHA-256 over names, labels and sizes, the first and the last bytes of each picture.
        passed_over: what was, in words.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    names: list[bytes]
    digest: bytes
    passed_over: tuple[str, ...]


def scan_shard(path: bytes) -> ShardSamples:
    """Reads the headers, the labels and the ends of the pictures of a shard.

    Pictures without a label, labels without a picture and pictures without a name are passed over; so are pictures with
    a second dot in their names, which are told where their sample has no other.

    Raises:
        DataError: the shard cannot be read or is refused, as `members` says; a name occurs twice, a sample has two
            pictures, or a label is not an integer from 0.
    """
    source = f"'{printable(path)}'"
    try:
        descriptor = open_archive(path)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    try:
        return _Reading(descriptor, source).samples()
    except OSError as error:
        raise DataError(f"{source}: {error.strerror}") from error
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Sample:
    """What was met of a sample so far; `described` is the label in .json, `fault` why there is none."""

    picture: Member | None = None
    label: int | None = None
    described: int | None = None
    fault: str | None = None


class _Reading:
    """One reading of a shard."""

    def __init__(self, descriptor: int, source: str) -> None:
        self._descriptor = descriptor
        self._source = source
        self._samples: dict[bytes, _Sample] = {}
        self._nameless: list[bytes] = []
        self._dotted: list[tuple[bytes, bytes]] = []

    def samples(self) -> ShardSamples:
        for member in members(self._descriptor, self._source):
            self._meet(member)
        pairs: list[tuple[Member, int]] = []
        for sample in self._samples.values():
            if sample.picture is not None and (label := self._label(sample)) is not None:
                pairs.append((sample.picture, label))
        pairs.sort(key=lambda pair: pair[0].offset)
        pictures = [picture for picture, _ in pairs]
        labels = np.array([label for _, label in pairs], np.int32)
        return ShardSamples(
            np.array([picture.offset for picture in pictures], np.int64),
            np.array([picture.size for picture in pictures], np.int64),
            labels,
            [picture.name for picture in pictures],
            self._digest(pictures, labels),
            tuple(self._passed_over()),
        )

    def _meet(self, member: Member) -> None:
        folder, base = os.path.split(member.name)
        stem, _, suffix = base.partition(b".")
        suffix = suffix.lower()
        is_picture = b"." + suffix in SUFFIXES
        if not stem:
            if is_picture:
                self._nameless.append(member.name)
            return
        key = os.path.join(folder, stem)
        if not is_picture and suffix not in (b"cls", b"json"):
            if os.path.splitext(suffix)[1] in SUFFIXES:
                self._dotted.append((key, member.name))
            return
        sample = self._samples.setdefault(key, _Sample())
        if is_picture:
            if sample.picture is not None:
                self._refuse_second(sample.picture.name, member.name)
            sample.picture = member
        elif suffix == b"cls":
            if sample.label is not None:
                self._refuse_second(member.name, member.name)
            sample.label = self._integer(member)
        else:
            if (sample.described, sample.fault) != (None, None):
                self._refuse_second(member.name, member.name)
            sample.described, sample.fault = self._described(member)

    def _refuse_second(self, first: bytes, second: bytes) -> None:
        if first == second:
            raise DataError(f"{self._source} holds '{printable(first)}' twice; make the archive again")
        raise DataError(
            f"{self._source}: '{printable(first)}' and '{printable(second)}' are pictures of one sample; "
            "give each a name of its own up to the first dot"
        )

    def _integer(self, member: Member) -> int:
        text = os.pread(self._descriptor, 65, member.offset)[: member.size]
        if not _LABEL.fullmatch(text):
            raise DataError(f"{self._shown(member)} holds '{printable(text.strip())}', which is {_NO_INTEGER}")
        fault = _out_of_range(int(text))
        if fault is not None:
            raise DataError(f"{self._shown(member)} holds {fault}")
        return int(text)

    def _described(self, member: Member) -> tuple[int | None, str | None]:
        """The label in a .json, or why there is none: a .cls may still come."""
        if member.size > _MOST_JSON:
            return None, f"{self._shown(member)} is larger than {_MOST_JSON} bytes"
        try:
            content = json.loads(os.pread(self._descriptor, member.size, member.offset))
        except (ValueError, RecursionError) as error:
            return None, f"{self._shown(member)} is no JSON: {printable(str(error))}"
        if not isinstance(content, dict) or "label" not in content:
            return None, None
        label = content["label"]
        if type(label) is not int:
            return None, f"{self._shown(member)} has the label {printable(repr(label))[:65]}, which is {_NO_INTEGER}"
        fault = _out_of_range(label)
        return (label, None) if fault is None else (None, f"{self._shown(member)} holds {fault}")

    def _shown(self, member: Member) -> str:
        return f"{self._source}: '{printable(member.name)}'"

    def _label(self, sample: _Sample) -> int | None:
        if sample.label is not None:
            return sample.label
        if sample.fault is not None:
            raise DataError(sample.fault)
        return sample.described

    def _digest(self, pictures: list[Member], labels: npt.NDArray[np.int32]) -> bytes:
        digest = sha256(labels.astype("<i4").tobytes())
        for picture in pictures:
            last = max(picture.offset, picture.offset + picture.size - END_BYTES)
            digest.update(len(picture.name).to_bytes(8, "little") + picture.name + picture.size.to_bytes(8, "little"))
            digest.update(os.pread(self._descriptor, min(picture.size, END_BYTES), picture.offset))
            digest.update(os.pread(self._descriptor, min(picture.size, END_BYTES), last))
        return digest.digest()

    def _passed_over(self) -> Iterator[str]:
        unlabelled, lonely = [], []
        for key, sample in self._samples.items():
            if sample.picture is not None and self._label(sample) is None:
                unlabelled.append(sample.picture.name)
            if sample.picture is None and (sample.label, sample.described) != (None, None):
                lonely.append(key)
        # Beside the picture of a sample, `KEY.mask.png` is something else that is known of it.
        dotted = [name for key, name in self._dotted if key not in self._samples or self._samples[key].picture is None]
        for names, what in (
            (unlabelled, 'pictures without a label (.cls, or "label" in .json)'),
            (lonely, "labels without a picture"),
            (self._nameless, "pictures without a name"),
            (dotted, "pictures with a second dot in their names (a sample's name ends at the first)"),
        ):
            if names:
                yield f"{self._source}: {what}: {len(names)}, the first is '{printable(names[0])}'"


def _out_of_range(label: int) -> str | None:
    if label < 0:
        return f"the label {label}, which is negative; labels go from 0"
    return f"the label {label}, of more than {MAXIMUM_CLASSES} classes" if label >= MAXIMUM_CLASSES else None
