"""Whether gateways serve the file that one is talking about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def disagreement(file: object, generation: str, told: Iterable[Mapping[str, Any]]) -> str:
    """What to say where one of those whose ``/api/status`` or ``/api/evidence`` this is serves
    another file than that of this generation; empty where none does. Who has refused a file serves
    an older one, and says so itself.
    """
    serving = (one for one in told if (one.get("file") or {}).get("in_force", True))
    for served in (one.get("generation") for one in serving):
        if served != generation:
            found = f"{file} is generation {generation}, the gateway serves {served}"
            return f"{found}; name its file with --file"
    return ""
