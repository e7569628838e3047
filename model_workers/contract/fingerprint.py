"""Whether two contracts are the same, for whatever was made for one of them. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256

from .contract import Contract


def fingerprint(contract: Contract) -> str:
    """A digest of what goes in and comes out, in hex: names, types, ranges, units, labels and their
    order. Descriptions may be reworded.
    """
    parts = [
        {"kind": type(part).__name__} | asdict(part) | {"description": None}
        for part in (*contract.features, *contract.outputs)
    ]
    return sha256(json.dumps([contract.model, parts], sort_keys=True).encode()).hexdigest()
