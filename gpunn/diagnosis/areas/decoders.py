"""What decodes pictures: Pillow, and the extra `fast`."""

from __future__ import annotations

from collections.abc import Iterator

from gpunn.diagnosis.finding import Finding
from gpunn.diagnosis.installing import install
from gpunn.diagnosis.running import ProbeError
from gpunn.diagnosis.situation import Situation

_FAST = ("simplejpeg", "cykooz-resizer")


def examine(situation: Situation) -> Iterator[Finding]:
    """Formats and speed."""
    machine = situation.machine
    again = ("--force-reinstall", "--no-deps")
    try:
        found = machine.ask("decoders")
    except ProbeError as error:
        yield Finding("pictures", "problem", f"none can be read ({error})", install(machine, "pillow", options=again))
        return
    if found["lacking"]:
        text = f"Pillow {found['pillow']} was built without {', '.join(found['lacking'])}"
        remedy = install(machine, "pillow", options=(*again, "--only-binary", "pillow"))
        yield Finding("pictures", "warning", text, remedy)
    if found["fast"] is True:
        yield Finding("pictures", "ok", f"Pillow {found['pillow']} and the fast decoder")
    elif found["fast"] is False:
        faster = install(machine, "gpunn[fast]")
        yield Finding("pictures", "ok", f"Pillow {found['pillow']}; what decodes faster: {faster}")
    else:
        text = f"the fast decoder is installed and does not load ({found['fast']})"
        yield Finding("pictures", "problem", text, install(machine, *_FAST, options=again))
