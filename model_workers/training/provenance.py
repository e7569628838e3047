"""What an artefact that was trained from a snapshot says of how it was made. Pure.

All of it follows from the snapshot, the seed, the code and the libraries, and no time stands in it:
so the same of these make the same bytes.
"""

from __future__ import annotations

import msgspec


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """``snapshot`` is the digest of the data, ``holdout`` the share that was not learned from,
    ``rows`` how many were (copies counted; ``distinct``: not), ``contract`` a fingerprint,
    ``parameters`` those of the estimator, ``metrics`` by output what 5 folds of these rows gave.
    """

    snapshot: str
    labels_are: str
    holdout: float
    rows: int
    distinct: int
    contract: str
    recipe: str
    seed: int
    parameters: dict[str, str]
    code_version: str
    libraries: dict[str, str]
    metrics: dict[str, dict[str, float]]
