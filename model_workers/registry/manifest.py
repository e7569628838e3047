"""What a registered version says of itself. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ..training.provenance import Provenance
from .snapshot import Manifest


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

    def what(self) -> dict[str, Any]:
        """All but when and by whom."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("registered_at", "registered_by", "trained_at"):
            del found[name]
        if found["data"]:
            del found["data"]["made_at"]
        return found
