"""What the pages of a console are made from and work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from gateway.security.credential import Token
from monitoring.console.notices import Notices
from monitoring.console.texts import Texts
from monitoring.readings.sources import GatewaySources


@dataclass(frozen=True, slots=True)
class Context:
    """``file`` is the routing file, ``sources`` are the gateways that serve it; ``token`` is what a
    visitor has to bring, None on loopback; ``clock`` gives Unix time. ``texts`` are what
    the file was seen to say, ``notices`` what the next page has to say.
    """

    file: Path
    sources: GatewaySources
    token: Token | None = None
    clock: Callable[[], float] = time
    texts: Texts = field(default_factory=Texts)
    notices: Notices = field(default_factory=Notices)
