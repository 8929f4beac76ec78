"""What decodes pictures."""

from __future__ import annotations

from typing import Any

import PIL
from PIL import features

from gpunn.data.decoding.by_name import decoder
from gpunn.diagnosis.reason import reason
from gpunn.errors import UsageError


def answer() -> dict[str, Any]:
    """Pillow's version, the formats that it cannot read, and of the fast decoder: {"fast": True}, False where it is not
    installed, or why it does not load."""
    lacking = [name for name in ("jpg", "zlib", "webp") if not features.check(name)]
    fast: bool | str = True
    try:
        decoder("fast")
    except UsageError:
        fast = False
    except Exception as error:
        fast = reason(error)
    return {"pillow": PIL.__version__, "lacking": lacking, "fast": fast}
