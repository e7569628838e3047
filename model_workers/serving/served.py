"""What every worker has, whatever its model is asked: a name, a fault plan, the counts, and threads
in which the model works, because it may hang or raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from .counts import Counts
from .faults import Fault, Faults, Strike
from .promises import BrokenContract
from .threads import Late, Overloaded, Raised, Threads
from .wire import CUT, HANG_S, RETRY, Garbage, stoppable, wait

_log = logging.getLogger("model_worker")
_MAX_LOGGED = 100  # a model that raises a thousand times a second needs no thousand tracebacks
_T = TypeVar("_T")


class Served:
    """One version of one model."""

    def __init__(
        self, model: str, version: str, counts: Counts, faults: Faults, threads: Threads
    ) -> None:
        self.model = model
        self.version = version
        self.counts = counts
        self.faults = faults
        self.met = 0  # requests that the present plan has seen
        self._healed = Event()  # the present plan is over
        self._threads = threads
        self._logged: set[str] = set()  # what of failures stands in the log already

    def plan(self, faults: Faults) -> None:
        """From here on these faults; a new plan counts its requests from 0, and frees what the one
        before had got stuck.
        """
        self._healed.set()
        self._healed = Event()
        self.faults = faults
        self.met = 0

    async def meet(self, request: Request) -> Fault:
        """What the fault plan wants of this request, done as far as it comes before the answer:
        waits, raises instead of an answer, or marks the answer to be cut.
        """
        fault = self.faults.at(self.met)
        self.met += 1
        await wait(request, fault)
        if fault.strike is Strike.ERROR:
            raise HTTPException(500, f"{self.model} {self.version} fails because its faults say so")
        if fault.strike is Strike.GARBAGE:
            raise Garbage
        if fault.strike is Strike.CUT:
            request.scope[CUT] = True
        return fault

    def ill(self, fault: Fault) -> Callable[[], None]:
        """What the fault plan wants of the model itself; to be called where that works."""
        healed = self._healed

        def suffer() -> None:
            if fault.strike is Strike.STUCK:
                healed.wait(HANG_S)
            if fault.strike is Strike.CRASH:
                raise RuntimeError("the model raises because its faults say so")

        return suffer

    async def run(self, call: Callable[[], _T], threads: Threads | None = None) -> _T:
        """What the model does, in a thread and with a deadline; whatever goes wrong is counted and
        becomes an answer that says what, and tells no secrets. ``threads`` are others than those of
        the predictions.
        """
        try:
            with stoppable():
                result: _T = await (threads or self._threads).run(call)
            return result
        except Overloaded as error:
            self.counts.failures["overloaded"] += 1
            raise HTTPException(503, f"the worker is busy: {error}; try again", RETRY) from None
        except Late as error:
            self._failed("hung", str(error))
            raise HTTPException(504, f"the model hangs: {error}; the worker goes on") from None
        except Raised as error:
            cause = error.__cause__
            if isinstance(cause, BrokenContract):
                self._failed("broken", str(cause))
                raise HTTPException(500, f"the model broke its contract: {cause}") from None
            self._failed("raised", repr(cause), cause)
            raise HTTPException(500, "the model failed; the worker's log says why") from None

    def _failed(self, kind: str, said: str, cause: BaseException | None = None) -> None:
        """Count a failure of the model, and log it the first time it happens in these words."""
        self.counts.failures[kind] += 1
        if said not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(said)
            _log.error("%s %s %s: %s", self.model, self.version, kind, said, exc_info=cause)

    @property
    def stuck(self) -> int:
        """How many of its predictions hang."""
        return self._threads.stuck

    @property
    def well(self) -> bool:
        """Whether it makes sense to ask it, or somebody should start it anew."""
        return self._threads.well

    def told(self) -> dict[str, Any]:
        """What ``/stats`` tells."""
        return {
            "model": self.model,
            "model_version": self.version,
            "requests": self.counts.requests,
            "predictions": self.counts.predictions,
            "failures": self.counts.failures,
            "stuck": self.stuck,
        }
