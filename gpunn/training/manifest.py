"""What a checkpoint says about itself: everything that is not a tensor."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

import gpunn

#: Raised by one whenever a reader of the format before could no longer read the file.
FORMAT_VERSION = 1


class Manifest(BaseModel):
    """The state of a run beside its tensors, kept as JSON in the checkpoint's own metadata.

    Values are what JSON knows: dictionaries with text keys, lists, text, numbers, true, false and None. Floats
    survive exactly; tuples and NumPy scalars are refused, since they would come back as something else.

    Attributes:
        network: the description the network is rebuilt from.
        configuration: the configuration of the run.
        classes: class names, in the order of the outputs.
        preprocessing: input size, scaling and normalisation, so that prediction needs nothing else.
        thread_plan: thread and chunk counts on which the order of sums depends; reused on resume.
        progress: place in the run: epoch, step, batch in the epoch, seed, schedule, early stopping, metrics so
            far, running sums of the epoch.
        data_fingerprint: digest of the data set's names and sizes.
        tensors: SHA-256 of each tensor by its name; filled in when the checkpoint is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    gpunn_version: str = gpunn.__version__
    network: dict[str, JsonValue]
    configuration: dict[str, JsonValue]
    classes: list[str]
    preprocessing: dict[str, JsonValue]
    thread_plan: dict[str, JsonValue]
    progress: dict[str, JsonValue]
    data_fingerprint: str
    tensors: dict[str, str] = Field(default_factory=dict)


class FutureFormatError(ValueError):
    """The text was written by a newer gpunn."""


def manifest_to_text(manifest: Manifest) -> str:
    """The manifest as JSON on one line; infinities and NaN keep Python's spelling, so that nothing is lost."""
    return json.dumps(manifest.model_dump(), separators=(",", ":"))


def manifest_from_text(text: str) -> Manifest:
    """The manifest that `manifest_to_text` wrote.

    Raises:
        FutureFormatError: when a newer gpunn wrote it.
        ValueError: when it is not a manifest; the text says which field is wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its manifest is not JSON ({error})") from None
    _refuse_future(document)
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"its manifest is not as expected at {field!r}: {first['msg']}") from None


def _refuse_future(document: object) -> None:
    version = document.get("format_version") if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(version, int) and version > FORMAT_VERSION:
        raise FutureFormatError(
            f"it has checkpoint format {version}, written by gpunn {str(document.get('gpunn_version'))!r}; "
            f"this is gpunn {gpunn.__version__}, which reads formats up to {FORMAT_VERSION}: upgrade gpunn"
        )
