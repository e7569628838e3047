"""One worker: a version of a model, and what its endpoints share whatever language they speak."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..contract.contract import MAX_INSTANCES, Row
from ..contract.validation import Validator
from ..predictors.predictor import Answer, Predictor
from .counts import Counts
from .faults import NO_FAULTS, Faults, Strike
from .promises import BrokenContract, check
from .served import Served
from .threads import Late, Overloaded, Raised, Threads
from .wire import HANG_S

_log = logging.getLogger("model_worker")
_RETRY = {"Retry-After": "1"}
_MAX_LOGGED = 100  # a model that raises a thousand times a second needs no thousand tracebacks
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """``instances`` in one request; ``timeout_s`` for one prediction."""

    instances: int = MAX_INSTANCES
    timeout_s: float = 2.0


LIMITS = Limits()


class Worker(Served):
    """A model with a contract, the check of it, and the threads that it predicts in."""

    def __init__(
        self,
        version: str,
        predictor: Predictor,
        faults: Faults = NO_FAULTS,
        limits: Limits = LIMITS,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.contract = predictor.contract
        super().__init__(self.contract.model, version, Counts(self.contract.labels), faults)
        self.predictor = predictor
        self.limits = limits
        self.validator = Validator(self.contract, limits.instances)
        self._threads = Threads(limits.timeout_s, prepare)
        self._logged: set[str] = set()  # what of failures stands in the log already

    @property
    def stuck(self) -> int:
        return self._threads.stuck

    @property
    def well(self) -> bool:
        return self._threads.well

    async def answer(self, request: Request, rows: list[Row]) -> Answer:
        """Score the rows, unless the fault plan has something else in mind for this request."""
        fault = await self.meet(request)
        answer = await self.run(partial(self._predict, rows, fault.strike))
        if fault.constant is not None:
            answer = _constant(fault.constant, answer)
        if fault.strike is not Strike.CUT and self.contract.labels:
            self.counts.predicted(map(str, answer.predictions[0]))
        return answer

    async def run(self, call: Callable[[], _T], threads: Threads | None = None) -> _T:
        """What the model does, in a thread and with a deadline; whatever goes wrong is counted and
        becomes an answer that says what, and tells no secrets. ``threads`` are others than those of
        the predictions.
        """
        try:
            result: _T = await (threads or self._threads).run(call)
            return result
        except Overloaded as error:
            self.counts.failures["overloaded"] += 1
            raise HTTPException(503, f"the worker is busy: {error}; try again", _RETRY) from None
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

    def _predict(self, rows: list[Row], strike: Strike | None) -> Answer:
        """In a thread."""
        if strike is Strike.STUCK:
            time.sleep(HANG_S)
        if strike is Strike.CRASH:
            raise RuntimeError("the model raises because its faults say so")
        answer = self.predictor.predict(rows)
        check(self.contract, answer, len(rows))
        return answer

    def check_name(self, request: Request) -> None:
        """404 for another model or version, in words that Triton's clients look for."""
        model = request.path_params.get("model", self.model)
        version = request.path_params.get("version", self.version)
        if (model, version) != (self.model, self.version):
            raise HTTPException(
                404,
                f"Request for unknown model: {model[:100]!r} version {version[:100]!r}; here is "
                f"{self.model!r} version {self.version!r}",
            )


def _constant(label: str, answer: Answer) -> Answer:
    """The same answer, but the first output says nothing else."""
    rows = len(answer.predictions[0])
    first = [label] * rows, [1.0] * rows
    return Answer((first[0], *answer.predictions[1:]), (first[1], *answer.probabilities[1:]))
