"""One line of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was found about one subject.

    Attributes:
        subject: what was looked at, such as "driver".
        status: "ok"; "warning" where gpunn works, but not as well as it could; "problem" where something that was
            asked for or installed does not work.
        text: what was found.
        remedy: the command that mends it, as one would type it; None where there is nothing to mend.
    """

    subject: str
    status: Status
    text: str
    remedy: str | None = None
