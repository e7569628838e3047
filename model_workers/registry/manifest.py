"""What a registered version says of itself. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ..training.provenance import Provenance
from .snapshot import Manifest

_HOURS = {"made_at", "registered_at", "registered_by", "trained_at"}


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """``artefact`` is the SHA-256 of ``model.skops``, ``contract`` the fingerprint it is for,
    ``provenance`` how it was trained (None: by no snapshot), ``data`` the manifest of that
    snapshot, ``without_gate`` why there is no gate.
    """

    model: str
    version: str
    recipe: str
    artefact: str
    contract: str
    registered_at: str
    registered_by: str
    trained_at: str = ""
    without_gate: str = ""
    provenance: Provenance | None = None
    data: Manifest | None = None


def lasting(document: bytes) -> Any:
    """What a document of a version says, but for what differs if all is done once more in another
    folder: when, by whom, the files that data and candidate were read from, digests of such.
    """
    found = _without_hours(msgspec.json.decode(document))
    match found:
        case {"evaluation": str()}:  # of a gate
            del found["evaluation"]
        case {"provenance": _, "data": _}:  # of a version; its provenance has the snapshot's digest
            del found["data"]
        case {"candidate": {"name": _}}:  # of an evaluation
            del found["candidate"]["name"]
    return found


def _without_hours(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_hours(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_hours(one) for key, one in value.items() if key not in _HOURS}
