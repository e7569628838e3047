"""The finished fact of an exchange, and who is told of it.

An :class:`Outcome` is made once, where a version's part in an exchange ends: when its answer was
written to the client, when the client left, or when another version took over. Observers (the
counters, tests) run after the answer was written and cannot fail a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.answers.predictions import Reading
from gateway.errors import Reason
from gateway.protocols import is_about
from gateway.routing.decision import Decision

if TYPE_CHECKING:
    from gateway.http.request import Request


_NO_PREDICTION: Final = (b"HEAD", b"OPTIONS")  # probes, and browsers that ask before a POST


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of one version's part in one request.

    ``status`` is the HTTP status the client got, or 0 when this version gave way to ``fallback``;
    ``reason`` is the version's failure (None: it did its part); ``gone`` says that the client left
    before the answer was whole, which is nobody's failure; ``seconds`` is what the client waited
    and ``upstream_seconds`` what the worker took; ``body`` is the whole body of a good answer, for
    reading the prediction (None: failed or streamed); ``bound`` says that no other version could
    have taken over any more, as the upload or the answer was on its way in pieces; ``overhead`` is
    what of ``seconds`` no worker had the request, whichever were asked (of an answer passed on in
    pieces: until its head was); ``request`` is which one it was, for who writes it down;
    ``reading`` is the prediction of an answer that was read while it was passed on.
    """

    # A msgspec Struct and not a dataclass: 0.1 us against 0.6, once per request.
    decision: Decision
    status: int
    reason: Reason | None
    gone: bool
    seconds: float
    upstream_seconds: float
    body: bytes | None
    bound: bool
    overhead: float
    request: Request | None = None
    reading: Reading | None = None

    @property
    def asks_for_none(self) -> bool:
        """Whether no prediction was asked for, but health, metadata or an explanation (see
        ``protocols``), or by a method whose answer has none. Looked up only where there was none.
        """
        if self.request is None:
            return False
        head = self.request.head
        return head.method in _NO_PREDICTION or is_about(self.decision.route.protocol, head.path)


Observer = Callable[[Outcome], None]
