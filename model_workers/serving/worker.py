"""One worker: a version of a model, and what its endpoints share whatever language they speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..contract.contract import MAX_INSTANCES, Classes, Contract, Row
from ..contract.validation import Validator
from ..predictors.predictor import Answer, Predictor
from .counts import Counts
from .faults import NO_FAULTS, BadFaults, Faults, Strike
from .promises import check
from .served import Served
from .threads import Threads


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
        """Raises BadFaults."""
        self.contract = contract = predictor.contract
        _constant(faults.constant, contract)
        threads = Threads(limits.timeout_s, prepare)
        super().__init__(contract.model, version, Counts(contract.labels), faults, threads)
        self.predictor = predictor
        self.limits = limits
        self.validator = Validator(contract, limits.instances)

    def plan(self, faults: Faults) -> None:
        """Raises BadFaults, too, for a constant that is no number where numbers are answered."""
        _constant(faults.constant, self.contract)
        super().plan(faults)

    async def answer(self, request: Request, rows: list[Row]) -> Answer:
        """Score the rows, unless the fault plan has something else in mind for this request."""
        fault = await self.meet(request)
        answer = await self.run(partial(self._predict, rows, self.ill(fault)))
        if fault.constant is not None:
            answer = _replaced(answer, *_constant(fault.constant, self.contract))
        if fault.strike is not Strike.CUT and self.contract.labels:
            self.counts.predicted(map(str, answer.predictions[0]))
        return answer

    def _predict(self, rows: list[Row], suffer: Callable[[], None]) -> Answer:
        """In a thread."""
        suffer()
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


def _constant(constant: str | None, contract: Contract) -> tuple[str | float, float | None]:
    """What a fault plan's constant is as a prediction of the first output, and its probability."""
    output = contract.outputs[0]
    if constant is None or isinstance(output, Classes):
        return constant or "", 1.0
    try:
        number = float(constant)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise BadFaults(f"constant is {constant!r}, and {output.name} a number; write one")
    return number, None


def _replaced(answer: Answer, prediction: str | float, probability: float | None) -> Answer:
    """The same answer, but the first output says nothing else."""
    rows = len(answer.predictions[0])
    first: list[str] | list[float] = [prediction] * rows  # type: ignore[assignment]
    sure = None if probability is None else [probability] * rows
    return Answer((first, *answer.predictions[1:]), (sure, *answer.probabilities[1:]))
